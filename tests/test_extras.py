"""Importing the package is fast, and item recall needs no packages of other systems."""

import configparser
import subprocess
import sys
from pathlib import Path

import pytest

import kerasrec
from kerasrec.errors import KerasrecError
from kerasrec.extras import EXTRAS, missing_package

SETUP = Path(__file__).parents[1] / "setup.cfg"


def run(code):
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return ended.stdout


def test_importing_the_package_is_fast_and_loads_nothing_heavy():
    code = (
        "import sys, time; begin = time.perf_counter(); import kerasrec; seconds = time.perf_counter() - begin\n"
        "heavy = {'tensorflow', 'pandas', 'numpy', 'keras', 'tf_keras', 'bert4keras', 'pyarrow'} & set(sys.modules)\n"
        "assert not heavy, heavy\nassert {'ItemRecall', 'Anime', 'load'} <= set(dir(kerasrec))\nprint(seconds)"
    )
    assert min(float(run(code)) for _ in range(3)) < 0.1


def test_every_public_name_is_imported_on_its_first_use():
    assert {*kerasrec.__all__} == {*kerasrec._PUBLIC, "KerasrecError", "__version__"}


def test_item_recall_needs_no_packages_of_other_systems():
    """In a process in which these packages cannot be imported."""
    code = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({list(EXTRAS)!r}))\n"
        "import kerasrec, kerasrec.cli, kerasrec.recall.quickstart, kerasrec.recall.recommend\n"
        "kerasrec.ItemRecall, kerasrec.load\n"
        "assert kerasrec.cli.main(['anime', 'fetch-titles']) == 2\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert ended.stderr == 'kerasrec: the package httpx is not installed: pip install "kerasrec[anime]"\n'


@pytest.mark.parametrize(("package", "extra"), EXTRAS.items())
def test_the_named_extra_installs_the_package(package, extra):
    config = configparser.ConfigParser()
    config.read(SETUP, encoding="utf-8")
    names = {
        line.split()[0].removesuffix("-cpu") for line in config["options.extras_require"][extra].split("\n") if line
    }
    assert package.replace("_", "-") in names
    error = missing_package(ModuleNotFoundError(name=f"{package}.inner"))
    assert isinstance(error, KerasrecError) and f"kerasrec[{extra}]" in str(error)


def test_a_system_names_the_extra_with_all_that_it_needs():
    code = (
        f"import sys\nsys.modules.update(dict.fromkeys({list(EXTRAS)!r}))\nimport kerasrec, kerasrec.cli\n"
        "assert kerasrec.cli.main(['colarec', 'train', 'shop']) == 2\n"
        "try:\n    kerasrec.ColaRec\nexcept kerasrec.KerasrecError as error:\n    print(error)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-3000:]
    for printed in (ended.stdout, ended.stderr):
        assert printed.endswith('is not installed: pip install "kerasrec[colarec]"\n'), printed


def test_other_missing_modules_stay_as_they_are():
    error = ModuleNotFoundError(name="kerasrec.nothing")
    assert missing_package(error) is error
