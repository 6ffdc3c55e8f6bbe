"""Shell blocks of the documentation, whose `kerasrec` commands run in the process of the tests."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

# Each call is written as the number of its arguments and the arguments, ended by NUL; the answer is the exit code.
_PROXY = """
kerasrec() {
    printf '%s\\0' "$#" "$@" >&"$CALLS" && read -r code <&"$ANSWERS" && return "$code"
}
"""


def run_shell(script: str, folder: Path, kerasrec: Callable[[list[str]], int], **variables: str) -> tuple[int, str]:
    """Run a script in bash.

    Args:
        script: The script.
        folder: Its working directory.
        kerasrec: Replaces the command `kerasrec`; takes its arguments and returns its exit code.
        variables: Environment variables to set.

    Returns:
        The exit code of bash, and what it and the programs that it started wrote to stdout and stderr.
    """
    calls, write_calls = os.pipe()
    read_answers, answers = os.pipe()
    process = subprocess.Popen(
        ["/bin/bash", "-c", _PROXY + script],
        cwd=folder,
        env={**os.environ, **variables, "CALLS": str(write_calls), "ANSWERS": str(read_answers)},
        pass_fds=(write_calls, read_answers),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    os.close(write_calls)
    os.close(read_answers)
    with os.fdopen(calls, "rb") as requests, os.fdopen(answers, "wb", buffering=0) as replies:
        while count := _read_argument(requests):
            arguments = [_read_argument(requests) for _ in range(int(count))]
            replies.write(f"{kerasrec(arguments)}\n".encode())
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


def _read_argument(stream) -> str:
    argument = bytearray()
    while (byte := stream.read(1)) not in (b"", b"\0"):
        argument += byte
    return argument.decode()
