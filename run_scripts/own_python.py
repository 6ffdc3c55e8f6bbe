"""Imported first by the Python scripts: if this Python lacks kerasrec, the project's .venv runs the script instead."""

import os
import sys

SCRIPTS = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(os.path.dirname(SCRIPTS), ".venv")

try:
    import kerasrec.cli  # noqa: F401  `import kerasrec` alone would succeed without the required libraries
except ModuleNotFoundError as error:
    python = os.path.join(VENV, "bin", "python")
    if os.path.exists(python) and os.path.realpath(sys.prefix) != os.path.realpath(VENV):
        os.execv(python, [python, *sys.argv])
    quickstart = os.path.join(SCRIPTS, "quickstart.sh")
    print(f"kerasrec is not installed ({error}): run 'bash {quickstart}' once", file=sys.stderr)
    sys.exit(2)
