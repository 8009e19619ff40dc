"""A small engine that is hard to end, as a program: ``process_tree.py <directory> [stubborn] [stopped]``.

Each start appends one line to ``<directory>/starts``, once every process of the tree has its pid in
``<directory>/pids``: the root, a child, a grandchild that double-forked into its own session, and, if asked, a child
that stopped itself and a root that ignores SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path


def note(directory: Path, name: str, line: str) -> None:
    with (directory / name).open("a") as file:
        file.write(line + "\n")


def child(directory: Path, then: Callable[[], None]) -> None:
    pid = os.fork()
    if pid == 0:
        then()
        while True:
            signal.pause()
    note(directory, "pids", str(pid))


def escape(directory: Path) -> None:
    """Leave session and parent behind, as a daemon does."""
    if os.fork() == 0:
        os.setsid()
        pid = os.fork()
        if pid == 0:
            while True:
                signal.pause()
        note(directory, "pids", str(pid))
        os._exit(0)
    os.wait()


def main() -> None:
    directory, traits = Path(sys.argv[1]), sys.argv[2:]
    if "stubborn" in traits:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note(directory, "pids", str(os.getpid()))
    child(directory, lambda: None)
    escape(directory)
    if "stopped" in traits:
        child(directory, lambda: os.kill(os.getpid(), signal.SIGSTOP))
    note(directory, "starts", os.environ.get("WATCHTOWER_OP_ID", "?"))
    print("serving", flush=True)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
