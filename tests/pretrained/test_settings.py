import subprocess
import sys
from pathlib import Path

import tyro

from kerasrec.pretrained.settings import Convert


def test_the_words_of_the_command_line():
    assert tyro.cli(Convert, args=["from/here", "to/there"]) == Convert(Path("from/here"), Path("to/there"))


def test_no_tensorflow_until_a_checkpoint_needs_it():
    code = "import sys, kerasrec.pretrained, kerasrec.pretrained.settings; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
