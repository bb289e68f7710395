"""Run `lookbook` commands in forks of one process that has imported them, because importing takes longer than most run.

`python -m tests.e2e.preloaded_commands serve SOCKET` is that process. `python preloaded_commands.py run SOCKET …`
gives one command its arguments, environment, folder and standard streams, and ends with the exit code of the command.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import traceback
from typing import NoReturn


def serve(path: str) -> NoReturn:
    from cli.main import main  # noqa: F401 (every fork needs it)

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    # The kernel then collects the forks that have ended.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            run_command(connection)
        connection.close()


def run_command(connection: socket.socket) -> NoReturn:
    """Run the command that the other end of the connection asks for, send its exit code, and end this process."""
    from cli.main import main

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    text, streams, _, _ = socket.recv_fds(connection, 2**16, 3)
    while not text.endswith(b"\n"):
        text += connection.recv(2**16)
    asked = json.loads(text)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    # If the other end is killed, this end is closed.
    threading.Thread(target=lambda: connection.recv(1) or os._exit(1), daemon=True).start()
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = ["lookbook", *asked["arguments"]]
    code: object = 1
    try:
        main()
        code = 0
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:  # noqa: BLE001 (printed as Python itself would)
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(str(code).encode())
    os._exit(0)


def ask(path: str, arguments: list[str]) -> int:
    """Let the process that serves `path` run a command, and return the exit code of the command."""
    asked = {"arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()}  # noqa: PTH109 (no imports)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        socket.send_fds(connection, [json.dumps(asked).encode() + b"\n"], [0, 1, 2])
        return int(connection.recv(16) or b"1")


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    sys.exit(ask(sys.argv[2], sys.argv[3:]))
