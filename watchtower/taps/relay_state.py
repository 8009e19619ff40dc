"""What all connections of one relay worker share: plan, hold, guard, counts, and the exchanges under way.

It accepts nobody and ends nobody: that is the worker's part (``relay_worker``), which knows what a connection is.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from collections.abc import Callable, Sequence
from typing import Protocol

from watchtower.exchanges.dialect import Dialect, Routes
from watchtower.exchanges.dialects import DIALECTS, SESSION_ROUTES, UNREAD_ROUTES
from watchtower.exchanges.exchange import ExchangeTable
from watchtower.exchanges.sampler import Sampler
from watchtower.taps.contact_log import ContactLog
from watchtower.taps.guard import Guard
from watchtower.taps.hold import Hold
from watchtower.taps.places import Guest, Places
from watchtower.taps.relay_plan import RelayPlan
from watchtower.taps.route_counts import RouteCounts
from watchtower.taps.serving_answer import Serving
from watchtower.taps.socket_addresses import upstream_address
from watchtower.vocabulary.facts import Bypassed
from watchtower.vocabulary.words import CAUSED, RELAY_COUNTERS


class Connection(Guest, Protocol):
    """One client's connection, as its worker sees it."""

    @property
    def idle(self) -> bool:
        """No request is under way in either direction."""

    def rest(self, now_ns: int) -> None:
        """Called about once a second."""

    def close(self) -> None:
        """Send what there is, then close."""

    def shut_down(self) -> None:
        """The worker must exit now."""

    def only_forward(self) -> None:
        """The relay was bypassed: what is under way goes on unread, and nothing waits."""


class RelayState:
    def __init__(
        self, plan: RelayPlan, loop: asyncio.AbstractEventLoop, pid: int, dialects: Sequence[Dialect] = DIALECTS
    ) -> None:
        """Raises BadInput for an upstream that cannot be forwarded to."""
        self.plan = plan
        self.loop = loop
        self.upstream = upstream_address(plan.upstream)
        self.routes = Routes(dialects, UNREAD_ROUTES, SESSION_ROUTES)
        self.guard = Guard(plan.guard, plan.allow_paths)
        self.exchanges = ExchangeTable(f"{plan.worker}.{pid}")
        self.on_change: Callable[[], None] = lambda: None
        """Called when a hold or the bypass began or ended."""
        self.hold = Hold(loop, lambda: self.on_change())
        self.exchanges.gives_up = lambda: self.hold.holding
        self.serving = Serving(self.hold)
        self.passing = RouteCounts()
        self.contacts = ContactLog()
        self.bypassed: Bypassed | None = None
        """Who had everything forwarded unread; the guard alone stays."""
        self.counters = dict.fromkeys(RELAY_COUNTERS, 0)
        self.sampler = Sampler(self.count)
        self.places = Places(plan.max_connections, _descriptors(), self.count)
        self.draining = False
        self.connections: set[Connection] = set()
        self.empty = asyncio.Event()
        """There is no connection."""
        self.empty.set()

    def count(self, name: str) -> None:
        self.counters[name] += 1

    def caused(self, kind: str) -> None:
        """A client got an error that we made."""
        self.counters[CAUSED + kind] += 1

    def bypass(self, bypassed: Bypassed | None) -> None:
        """Forward only from now on, or read again (None). Cuts nothing."""
        begins = bypassed is not None and self.bypassed is None
        self.bypassed = bypassed
        if begins:
            self.hold.release()
            for connection in list(self.connections):
                connection.only_forward()
        self.on_change()

    def join(self, connection: Connection) -> None:
        """A client connected."""
        self.count("connections")
        self.connections.add(connection)
        self.empty.clear()
        self.places.arrive(connection)

    def leave(self, connection: Connection) -> None:
        self.connections.discard(connection)
        self.places.leave(connection)
        if not self.connections:
            self.empty.set()


def _descriptors() -> int:
    """How many this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft
