"""A process of another user that talks to one of our sockets.

What the mode of the file keeps out is let in here, so that only our own check of the peer is left.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

STRANGER = 65534
"""nobody"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

CLIENT = """
import os, socket, sys
user, directory, name, message = int(sys.argv[1]), sys.argv[2], sys.argv[3], bytes.fromhex(sys.argv[4])
os.chdir(directory)
os.setgroups([])
os.setgid(user)
os.setuid(user)
with socket.socket(socket.AF_UNIX) as line:
    line.settimeout(10)
    line.connect(name)
    try:
        line.sendall(message)
        answer = line.recv(65536)
    except (BrokenPipeError, ConnectionResetError):
        answer = b""
sys.stdout.buffer.write(answer)
"""


def ask_as(user: int, path: Path, message: bytes) -> bytes:
    """The first answer to ``message`` on the Unix socket ``path``; empty when the connection was closed without one."""
    path.parent.chmod(0o755)
    path.chmod(0o666)
    command = [sys.executable, "-S", "-c", CLIENT, str(user), str(path.parent), path.name, message.hex()]
    done = subprocess.run(command, capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
