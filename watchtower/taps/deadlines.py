"""How long a client may owe us something: the rest of its request, or the reading of its answer.

A place belongs to whoever has a request under way, so whoever neither goes on with one nor takes its answer must not
have it for ever. A head has one deadline, whatever trickles in. A body may pause for so long, and from then on must
have come at ``LEAST_RATE`` on the whole: one byte a second is no upload. An answer may wait for as long as its client
reads any of it now and then. Everything is told about once a second (CLOCK_BOOTTIME, ns).
"""

from __future__ import annotations

from typing import Final

LEAST_RATE: Final = 500
"""Bytes a second of a body, on the whole. The worst mobile phone sends twenty times as much."""


class UnsentRequest:
    """What the client owes of its present request."""

    def __init__(self) -> None:
        self._head_since_ns = 0
        self._body_since_ns = 0
        self._silent_since_ns = 0
        self._bytes = 0

    def nothing_owed(self) -> None:
        """Another request begins, or it is not the client who is waited for."""
        self._head_since_ns = self._body_since_ns = self._silent_since_ns = self._bytes = 0

    def head_late(self, now_ns: int, seconds: float) -> bool:
        """The rest of a head is owed, and should have come by now."""
        if not self._head_since_ns:
            self.nothing_owed()
            self._head_since_ns = now_ns
        return now_ns - self._head_since_ns >= seconds * 1e9

    def body_late(self, now_ns: int, seconds: float, arrived: int) -> bool:
        """The rest of a body is owed, ``arrived`` bytes came since the last time, and more should have come.
        ``seconds``: the longest pause."""
        if not self._body_since_ns:
            self.nothing_owed()
            self._body_since_ns = now_ns
        self._bytes += arrived
        if arrived:
            self._silent_since_ns = 0
        elif not self._silent_since_ns:
            self._silent_since_ns = now_ns
        if self._silent_since_ns and now_ns - self._silent_since_ns >= seconds * 1e9:
            return True
        return now_ns - self._body_since_ns >= (seconds + self._bytes / LEAST_RATE) * 1e9


class UnreadAnswer:
    """What the client has not taken of its answer."""

    def __init__(self) -> None:
        self._unread = 0
        self._since_ns = 0

    def late(self, now_ns: int, unread: int, seconds: float) -> bool:
        """``unread`` bytes wait for the client, and have been as many for ``seconds``."""
        if unread != self._unread or not unread:
            self._unread, self._since_ns = unread, now_ns
        return unread > 0 and now_ns - self._since_ns >= seconds * 1e9
