"""What is declared, what is pinned and what is imported agree with each other."""

import ast
import configparser
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]


def lines(text):
    return [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]


def setup_cfg():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def declared(*extras):
    config = setup_cfg()
    texts = [config["options"]["install_requires"], *(config["options.extras_require"][extra] for extra in extras)]
    return [Requirement(line) for text in texts for line in lines(text)]


def pins(python):
    """What the constraints allow under one Python, as {name: specifiers}."""
    constraints = map(Requirement, lines((ROOT / "run_scripts" / "constraints.txt").read_text(encoding="utf-8")))
    here = [pin for pin in constraints if not pin.marker or pin.marker.evaluate({"python_version": python})]
    names = [canonicalize_name(pin.name) for pin in here]
    assert len(set(names)) == len(names), f"pinned twice under Python {python}"
    return dict(zip(names, (pin.specifier for pin in here), strict=True))


@pytest.mark.parametrize("python", PYTHONS)
def test_every_requirement_is_pinned_to_one_version_that_it_allows(python):
    pinned = pins(python)
    assert all(re.fullmatch(r"==[0-9][0-9a-z.]*", str(specifier)) for specifier in pinned.values())
    for requirement in declared("test"):
        version = str(pinned[canonicalize_name(requirement.name)]).removeprefix("==")
        assert requirement.specifier.contains(version), f"{requirement} does not allow the pinned {version}"


def test_the_python_versions_that_are_allowed():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    allowed = SpecifierSet(re.search(r'^requires-python = "(.*)"$', text, re.MULTILINE)[1])
    assert [f"3.{minor}" for minor in range(20) if f"3.{minor}" in allowed] == PYTHONS


def test_bert4keras_has_one_version_and_is_never_left_to_a_resolver():
    sources = [ROOT / "pyproject.toml", *(ROOT / "run_scripts").glob("*.sh"), *(ROOT / "kerasrec").rglob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    versions = re.findall(r"bert4keras==([0-9.]+[0-9])", text)
    versions += re.findall(r'name = "bert4keras"\nversion = "(.*)"', text)
    versions += re.findall(r'BERT4KERAS_VERSION = "(.*)"', text)
    assert len(versions) >= 4 and set(versions) == {"0.11.5"}
    assert "bert4keras" not in {requirement.name for requirement in declared("test")} | set(pins("3.11"))


def test_every_import_is_declared():
    imported = set()
    for path in (ROOT / "kerasrec").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.split(".")[0])
    outside = imported - set(sys.stdlib_module_names) - {"kerasrec", "bert4keras"}
    assert "numpy" in outside
    providers = importlib.metadata.packages_distributions()
    names = {canonicalize_name(requirement.name) for requirement in declared()}
    undeclared = {module for module in outside if not names & set(map(canonicalize_name, providers[module]))}
    assert not undeclared


def test_the_command_is_an_entry_point_that_exists():
    scripts = lines(setup_cfg()["options.entry_points"]["console_scripts"])
    assert scripts == ["kerasrec = kerasrec.cli:main"]
    assert importlib.metadata.EntryPoint("kerasrec", "kerasrec.cli:main", "console_scripts").load()


def run_without(module, code):
    """Run `code` in a Python in which `module` cannot be imported."""
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.modules[{module!r}] = None\n{code}"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )


@pytest.mark.parametrize("module", ["bert4keras", "tensorflow"])
@pytest.mark.parametrize("words", [["--help"], ["recall", "--help"], ["recall", "train", "--help"]])
def test_help_needs_neither_bert4keras_nor_tensorflow(module, words):
    done = run_without(module, f"from kerasrec.cli import main\nmain({words})")
    assert done.returncode == 0 and done.stdout.startswith("usage: kerasrec"), done.stderr


def test_what_needs_bert4keras_says_in_one_line_how_to_install_it():
    code = """
from kerasrec.errors import KerasrecError
try:
    from kerasrec.backend import bert4keras
except KerasrecError as error:
    print(error)
"""
    done = run_without("bert4keras", code)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1 and "pip install --no-deps bert4keras==0.11.5" in done.stdout
