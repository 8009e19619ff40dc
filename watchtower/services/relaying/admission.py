"""Whose word is taken for a relay worker's of this target.

The kernel says who is at the other end; a lock in our state directory says that it is a worker of ours, and its hello
which traffic it forwards. A worker of another state directory that found its way here would count a stranger's traffic
as ours, and a hold of ours would park it.
"""

from __future__ import annotations

from pathlib import Path

from watchtower.taps.handover import lock_holders
from watchtower.vocabulary.facts import RelayHello


class Admission:
    """``refusal`` for each hello."""

    def __init__(self, directory: Path, upstream: str) -> None:
        self._directory = directory
        self._upstream = upstream
        self.listening = ""
        """Where clients connect, as the workers name it; "" while it is not known yet."""
        self.leaving: set[int] = set()
        """Pids of workers that we asked to leave: they give up their lock, and tell of their last streams."""

    def refusal(self, pid: int, hello: RelayHello) -> str:
        """Why the process at the other end is not listened to; "" when it is."""
        if hello.pid != pid:
            return f"it calls itself pid {hello.pid}, which is {pid or 'nobody'} here"
        if hello.upstream != self._upstream:
            return f"it forwards to {hello.upstream}, not to {self._upstream}"
        if pid in self.leaving:  # perhaps from an address that was configured before
            return ""
        if self.listening and hello.listening != self.listening:
            return f"it listens on {hello.listening}, not on {self.listening}"
        if pid not in lock_holders(self._directory):
            return f"it holds no lock in {self._directory}"
        return ""
