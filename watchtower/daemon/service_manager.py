"""Telling the service manager that we are ready, alive and leaving: sd_notify(3), three words over a datagram socket.

"Alive" is said by the tick, so that a loop that decides nothing any more is restarted (``WatchdogSec=``) although its
web server still answers. Without NOTIFY_SOCKET nobody is told anything. The variable is taken out of the environment:
relay workers, keeper and engine are not the daemon and must not speak for it.
"""

from __future__ import annotations

import socket
from collections.abc import MutableMapping
from contextlib import suppress


class ServiceManager:
    def __init__(self, environment: MutableMapping[str, str]) -> None:
        path = environment.pop("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path

    def ready(self) -> None:
        self._say("READY=1")

    def alive(self) -> None:
        self._say("WATCHDOG=1")

    def leaving(self) -> None:
        self._say("STOPPING=1")

    def _say(self, word: str) -> None:
        if not self._address:
            return
        # A manager that does not listen is not our fault to die of; it will judge by what it did not hear.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
            line.setblocking(False)
            line.sendto(word.encode(), self._address)
