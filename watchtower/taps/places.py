"""Who has a place in a worker, and who goes when there is no room.

Only a request under way takes one of the ``most`` places. Whoever waits is counted apart: newcomers, who never sent a
whole request (silent ones and half-sent heads), and kept connections, between two requests. Of each there may be
``most`` as well; one more, and the one that has waited longest is let go. So nobody who merely holds connections open
keeps a request out.

Descriptors are counted too: one a client, one an upstream. Some are kept back, for accepting and refusing whoever
comes next and for talking to the daemon. When they run short, newcomers go first, then whoever was let go and does not
read the end of its answer (a reset), and kept connections after them; a request is refused only when everybody else
has one under way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

KEPT_BACK: Final = 64
"""Descriptors that no client and no upstream gets. One that is let go has its own for another turn of the loop."""


class Guest(Protocol):
    """A client's connection."""

    def let_go(self) -> bool:
        """There is no room for one that waits. True: it goes at once; False: once it has read its answer's end."""

    def shut_down(self) -> None:
        """Go now, whatever is unread."""


class Places:
    """One worker's."""

    def __init__(self, most: int, descriptors: int, count: Callable[[str], None]) -> None:
        """``descriptors``: how many this process may have open. ``count`` is told of everybody that is let go."""
        self._most = most
        self._descriptors = max(descriptors - KEPT_BACK, descriptors // 2)
        self._count = count
        self._newcomers: dict[Guest, None] = {}  # in the order of their coming
        self._kept: dict[Guest, None] = {}  # in the order in which their last answers ended
        self._busy: set[Guest] = set()
        self._leaving: dict[Guest, None] = {}  # let go, and still reading
        self._upstreams = 0

    @property
    def reach(self) -> int:
        """Requests at once that the descriptors allow."""
        return self._descriptors // 2

    @property
    def taken(self) -> int:
        """Requests under way."""
        return len(self._busy)

    def arrive(self, guest: Guest) -> None:
        """Somebody connected."""
        self._newcomers[guest] = None
        if len(self._newcomers) > max(1, self._most):
            self._let_go(self._newcomers)
        self._make_room()

    def begin(self, guest: Guest) -> bool:
        """``guest`` has a request. False: there are as many as there may be."""
        if guest in self._busy:
            return True
        if len(self._busy) >= self._most:
            return False
        self._newcomers.pop(guest, None)
        self._kept.pop(guest, None)
        self._busy.add(guest)
        return True

    def rest(self, guest: Guest) -> None:
        """The request of ``guest`` is over."""
        if guest in self._busy:
            self._busy.remove(guest)
            self._kept[guest] = None
            if len(self._kept) > self._most:
                self._let_go(self._kept)

    def leave(self, guest: Guest) -> None:
        """``guest`` is gone."""
        self._newcomers.pop(guest, None)
        self._kept.pop(guest, None)
        self._busy.discard(guest)
        self._leaving.pop(guest, None)

    def connect(self) -> bool:
        """A request needs an upstream. False: there is no descriptor for it."""
        self._upstreams += 1
        if self._make_room():
            return True
        self._upstreams -= 1
        return False

    def disconnect(self) -> None:
        """An upstream is gone."""
        self._upstreams -= 1

    def _make_room(self) -> bool:
        """Whoever came last may stay in any case: it shall be told that there is no room."""
        while self._used() > self._descriptors:
            if len(self._newcomers) > 1:
                self._let_go(self._newcomers)
            elif self._leaving:
                guest = next(iter(self._leaving))
                del self._leaving[guest]
                guest.shut_down()
            elif self._kept:
                self._let_go(self._kept)
            else:
                return False
        return True

    def _used(self) -> int:
        return len(self._newcomers) + len(self._kept) + len(self._busy) + len(self._leaving) + self._upstreams

    def _let_go(self, waiting: dict[Guest, None]) -> None:
        guest = next(iter(waiting))
        del waiting[guest]
        self._count("clients_let_go")
        if not guest.let_go():
            self._leaving[guest] = None
