"""The declared requirements, the pinned versions and the imports of the package are consistent."""

import ast
import configparser
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import kerasrec

ROOT = Path(__file__).parents[1]
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]


def lines(text):
    return [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]


def setup_cfg():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def declared(*extras):
    """What kerasrec requires with these extras, and with the extras that they include."""
    config = setup_cfg()
    texts = [config["options"]["install_requires"], *(config["options.extras_require"][extra] for extra in extras)]
    requirements = [Requirement(line) for text in texts for line in lines(text)]
    included = {extra for requirement in requirements if requirement.name == "kerasrec" for extra in requirement.extras}
    if included - set(extras):
        return declared(*extras, *sorted(included - set(extras)))
    return [requirement for requirement in requirements if requirement.name != "kerasrec"]


def pins(python):
    """The version specifiers of the constraints file for one Python version, by name."""
    constraints = map(Requirement, lines((ROOT / "run_scripts" / "constraints.txt").read_text(encoding="utf-8")))
    valid = [pin for pin in constraints if not pin.marker or pin.marker.evaluate({"python_version": python})]
    names = [canonicalize_name(pin.name) for pin in valid]
    assert len(set(names)) == len(names), f"pinned twice under Python {python}"
    return dict(zip(names, (pin.specifier for pin in valid), strict=True))


@pytest.mark.parametrize("python", PYTHONS)
def test_every_requirement_is_pinned_to_an_allowed_version(python):
    pinned = pins(python)
    assert all(re.fullmatch(r"==[0-9][0-9a-z.]*", str(specifier)) for specifier in pinned.values())
    for requirement in declared("dev"):
        version = str(pinned[canonicalize_name(requirement.name)]).removeprefix("==")
        assert requirement.specifier.contains(version), f"{requirement} does not allow the pinned {version}"


def test_the_allowed_python_versions():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    allowed = SpecifierSet(re.search(r'^requires-python = "(.*)"$', text, re.MULTILINE)[1])
    assert [f"3.{minor}" for minor in range(20) if f"3.{minor}" in allowed] == PYTHONS


def test_bert4keras_has_one_version_and_is_not_a_declared_requirement():
    sources = [
        *(ROOT / name for name in ("pyproject.toml", "README.md", "README.zh-CN.md", "Dockerfile")),
        *(ROOT / "run_scripts").glob("*.sh"),
        *(ROOT / "kerasrec").rglob("*.py"),
    ]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    versions = re.findall(r"bert4keras==([0-9.]+[0-9])", text)
    versions += re.findall(r'name = "bert4keras"\nversion = "(.*)"', text)
    versions += re.findall(r'BERT4KERAS_VERSION = "(.*)"', text)
    assert len(versions) >= 4 and set(versions) == {"0.11.5"}
    assert "bert4keras" not in {requirement.name for requirement in declared("dev")} | set(pins("3.11"))


def test_every_import_is_declared():
    imported = set()
    for path in (ROOT / "kerasrec").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.split(".")[0])
    third_party = imported - set(sys.stdlib_module_names) - {"kerasrec", "bert4keras"}
    assert "numpy" in third_party
    providers = importlib.metadata.packages_distributions()
    names = {canonicalize_name(requirement.name) for requirement in declared("all")}
    undeclared = {module for module in third_party if not names & set(map(canonicalize_name, providers[module]))}
    assert not undeclared


def test_the_entry_point_of_the_command_exists():
    scripts = lines(setup_cfg()["options.entry_points"]["console_scripts"])
    assert scripts == ["kerasrec = kerasrec.cli:main"]
    assert importlib.metadata.EntryPoint("kerasrec", "kerasrec.cli:main", "console_scripts").load()


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """An sdist built from the project's files, and a wheel built from the sdist alone."""
    folder = tmp_path_factory.mktemp("distributions")
    ignored = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "build", "dist", "site")
    shutil.copytree(ROOT, folder / "project", ignore=ignored)
    sdist = built("sdist", folder / "project", folder)
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return sdist, built("wheel", folder / sdist.name.removesuffix(".tar.gz"), folder)


def built(kind, source, folder):
    code = f"from setuptools import build_meta; print(build_meta.build_{kind}({str(folder)!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.splitlines()[-1]


def test_the_distributions_hold_what_they_should(distributions):
    sdist, wheel = distributions
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}
    assert {"README.md", "LICENSE", "pyproject.toml", "setup.cfg", "kerasrec/cli.py"} <= names
    wheel_names = zipfile.ZipFile(wheel).namelist()
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "kerasrec").rglob("*.py")}
    assert {name for name in wheel_names if name.startswith("kerasrec/")} == modules | {"kerasrec/py.typed"}
    assert {name.split("/")[0] for name in wheel_names} == {"kerasrec", f"kerasrec-{kerasrec.__version__}.dist-info"}
    metadata = zipfile.ZipFile(wheel).read(f"kerasrec-{kerasrec.__version__}.dist-info/METADATA").decode()
    for line in ("License-Expression: Apache-2.0", "Author: The kerasrec authors", "Provides-Extra: colarec"):
        assert line in metadata


def test_the_wheel_runs_away_from_the_project(distributions, tmp_path):
    zipfile.ZipFile(distributions[1]).extractall(tmp_path / "installed")
    code = "import kerasrec, kerasrec.cli; print(kerasrec.__file__); kerasrec.cli.main(['recall', '--help'])"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    first, usage, *_ = done.stdout.splitlines()
    assert Path(first).is_relative_to(tmp_path) and usage.startswith("usage: kerasrec recall"), done.stderr


def run_without(module, code):
    """Run `code` in a Python process in which `module` cannot be imported."""
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


def test_the_error_for_a_missing_bert4keras_says_how_to_install_it():
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
