"""Runs Python programs in forks of one process that has imported TensorFlow, which each would need seconds to import.

`python fork_server.py ADDRESS OWNER` serves; `start` starts it and makes a program, `python`, that takes the place of
the interpreter in a test: `python -m MODULE ...`, `python -c CODE ...` and `python FILE ...` have its working
directory, environment and open files, and end with its exit code.
"""

import contextlib
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from pathlib import Path

from kerasrec.data.text import characters
from kerasrec.systems import SYSTEMS

CLIENT = """#!{python} -IS
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [len(request).to_bytes(8, "big")], [0, 1, 2])
server.sendall(request)
answer = server.recv(1)
sys.exit(answer[0] if answer else 1)
"""


def start(folder: Path, owner: int) -> None:
    """Start the serving process, and write the program `python` that asks it.

    Args:
        folder: Where the program lies.
        owner: The process whose end is the end of the serving process.
    """
    address = f"kerasrec-{owner}-{os.getpid()}"  # of no file, but in Linux's list of names
    program = folder / "python"
    program.write_text(CLIENT.format(python=sys.executable, address=f"\0{address}"))
    program.chmod(0o755)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, __file__, address, str(owner)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment)
    if process.stdout.readline() != "ready\n":
        raise RuntimeError("the fork server did not start")


def serve(address: str, owner: int) -> None:
    """Import the modules of all commands, then fork for each program that asks, until the owner ends."""
    owner_ends = os.pidfd_open(owner)
    for steps in SYSTEMS.values():
        for _, function in steps.values():
            importlib.import_module(function.rsplit(".", 1)[0])
    for kind in ("space", "removed", "cjk", "punctuation", "accent", "blank_character"):
        characters.re2_class(getattr(characters, f"is_{kind}"))  # takes seconds, and is kept
    assert threading.active_count() == 1, "a process with threads cannot be forked safely"
    server = socket.socket(socket.AF_UNIX)
    server.bind(f"\0{address}")
    server.listen()
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([server, owner_ends], [], [])
        if owner_ends in ready:
            return
        asking, _ = server.accept()
        if os.fork() == 0:
            server.close()
            _answer(asking)
        asking.close()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _answer(asking: socket.socket) -> None:
    """Run a program in a child process and send its exit code; the program is killed when who asked is gone."""
    header, files, _, _ = socket.recv_fds(asking, 8, 3)
    with asking.makefile("rb") as stream:
        words, folder, environment = json.loads(stream.read(int.from_bytes(header, "big")))
    program = os.fork()
    if program == 0:
        asking.close()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        os._exit(_run(words))
    running = os.pidfd_open(program)
    ended, _, _ = select.select([running, asking], [], [])  # nothing is sent: `asking` is readable once it is closed
    if running not in ended:
        signal.pidfd_send_signal(running, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
    with contextlib.suppress(BrokenPipeError):
        asking.sendall(bytes([code if code >= 0 else 128 - code]))
    os._exit(0)


def _run(words: list[str]) -> int:
    """The exit code of `python WORDS`."""
    try:
        if words[0] == "-m":
            sys.argv = words[1:]
            sys.path.insert(0, os.getcwd())
            sys.modules.pop(words[1], None)
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        elif words[0] == "-c":
            sys.argv = ["-c", *words[2:]]
            sys.path.insert(0, "")
            exec(compile(words[1], "<string>", "exec"), {"__name__": "__main__"})
        else:
            sys.argv = words
            sys.path.insert(0, str(Path(words[0]).resolve().parent))
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    else:
        code = 0
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
