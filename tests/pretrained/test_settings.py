import subprocess
import sys
from pathlib import Path

import tyro

from kerasrec.pretrained.settings import Convert


def test_the_arguments_of_the_command_line():
    assert tyro.cli(Convert, args=["from/here", "to/there"]) == Convert(Path("from/here"), Path("to/there"))


def test_tensorflow_is_imported_only_for_its_checkpoints():
    code = "import sys, kerasrec.pretrained, kerasrec.pretrained.settings; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
