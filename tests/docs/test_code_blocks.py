"""The code of the README and of the documentation runs, in the order of each page."""

import re
import unittest
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser

import kerasrec
from kerasrec import cli
from tests.docs.shell import run_shell

ROOT = Path(__file__).parents[2]
READMES = ["README.md", "README.zh-CN.md"]
PAGES = [*READMES, "CONTRIBUTING.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))]


class ShellBlockParser(CodeBlockParser):
    language = "bash"

    def evaluate(self, example):
        code, output = run_shell(example.parsed, Path.cwd(), cli.main)
        assert code == 0, output


def blocks(path, *languages):
    text = (ROOT / path).read_text(encoding="utf-8")
    return [
        block for language, block in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S) if language in languages
    ]


def run_page(path, folder, monkeypatch):
    monkeypatch.chdir(folder)
    document = Sybil([PythonCodeBlockParser(), ShellBlockParser(), SkipParser()]).parse(ROOT / path)
    run = 0
    for example in document.examples():
        try:
            example.evaluate()
        except unittest.SkipTest:
            continue
        run += 1
    return run


def pages_with_code():
    for path in PAGES:
        if path not in READMES and (code := blocks(path, "python", "bash")):
            trains = any(".fit(" in block for block in code)
            yield pytest.param(path, marks=pytest.mark.slow if trains else ())


@pytest.mark.eager
@pytest.mark.parametrize("path", pages_with_code())
def test_the_blocks_of_a_page_run(path, tmp_path, monkeypatch):
    run_page(path, tmp_path, monkeypatch)


@pytest.mark.slow
def test_the_readme_runs(tmp_path, monkeypatch):
    assert run_page("README.md", tmp_path, monkeypatch) >= 4
    assert (tmp_path / "export" / "20210419-shop-refine-0").is_dir()


def test_the_chinese_readme_has_the_same_code():
    english, chinese = ([re.sub(r" *#.*", "", block) for block in blocks(path, "python", "bash")] for path in READMES)
    assert len(english) == 4 and chinese == english


def test_links_of_the_readmes_lead_to_files():
    for path in [*READMES, "CONTRIBUTING.md"]:
        links = re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / path).read_text(encoding="utf-8"))
        assert len(links) > 0 and all((ROOT / link).exists() for link in links), path


def test_the_table_of_methods_names_all_methods():
    page = (ROOT / "docs/how-to/python.md").read_text(encoding="utf-8")
    header, _, *rows = ([cell.strip() for cell in row.split("|")[1:-1]] for row in re.findall(r"^\|.*$", page, re.M))
    for column, name in enumerate(header[1:], start=1):
        cells = [row[column if row[0] == "others" else 0] for row in rows if row[column]]
        kind = getattr(kerasrec, name.strip("`"))
        methods = {method for method in dir(kind) if method[0] != "_" and callable(getattr(kind, method))}
        assert methods == set(re.findall(r"`(\w+)`", " ".join(cells))), name


def test_the_readme_is_short():
    assert all((ROOT / path).stat().st_size <= 7 * 1024 for path in READMES)


@pytest.mark.parametrize("path", [path for path in PAGES if blocks(path, "bash")])
def test_the_command_line_accepts_every_command(path, tmp_path, monkeypatch, capsys):
    """Also the commands of blocks that are skipped above; other programs are not run."""
    monkeypatch.setattr(
        cli,
        "SYSTEMS",
        {
            system: {step: (settings, "builtins.id") for step, (settings, _) in steps.items()}
            for system, steps in cli.SYSTEMS.items()
        },
    )
    accepted = []

    def accept(arguments):
        accepted.append((arguments, cli.main(arguments)))
        return 0

    for block in blocks(path, "bash"):
        block = block.replace("../.venv/bin/kerasrec", "kerasrec")
        run_shell(f"command_not_found_handle() {{ :; }}\n{block}", tmp_path, accept, PATH="", KERASREC_DATA="data")
    refused = [arguments for arguments, code in accepted if code != 0]
    assert not refused, capsys.readouterr().err
