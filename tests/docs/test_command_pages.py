"""The pages of options have every setting of every step, with its default."""

import importlib.util
import re
from pathlib import Path

import pytest

from kerasrec import cli
from kerasrec.keywords import keyword_names


@pytest.fixture(scope="module")
def command_pages():
    path = Path(__file__).parents[2] / "docs" / "command_pages.py"
    spec = importlib.util.spec_from_file_location("command_pages", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("system", cli.SYSTEMS)
def test_every_setting_has_a_row(command_pages, system):
    _, *sections = command_pages.commands_page(system, cli.SYSTEMS[system]).split("\n## ")
    assert len(sections) == len(cli.SYSTEMS[system])
    for section, (settings, _) in zip(sections, cli.SYSTEMS[system].values(), strict=True):
        _, *tables = section.split("|---|---|---|\n")
        rows = [line for table in tables for line in table.split("\n\n")[0].splitlines()]
        names = [re.match(r"\| `([^\s`]+)", row)[1] for row in rows]
        options = {re.sub("^--(no-)?", "", name).replace("-", "_") for name in names if name.startswith("--")}
        assert options <= {name.removeprefix("no_") for name in keyword_names(settings)}
        assert len(names) == len(keyword_names(settings)), "arguments have no option"
        without_default = [row for row in rows if not re.fullmatch(r"\| `.+` \| .* \| (`.*`|required) \|", row)]
        assert all("(repeatable)" in row or row.startswith("| `--no-") for row in without_default)


def test_a_row_of_the_table(command_pages):
    page = command_pages.commands_page("recall", ["train"])
    assert "| `--item-loss` `{softmax,sampled,gbce}` |" in page and "| `softmax` |" in page
    assert "| `--gpu` `INT` |" in page and "| `None` |" in page
    assert page.count("**Optimizer.**") == 1
