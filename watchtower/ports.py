"""The sockets that plug-ins and rooms are written against. Each fits on one screen.

Time and chance come in through here too: nothing outside ``clock.py`` reads a clock.
"""

from __future__ import annotations

from typing import Protocol

from watchtower.vocabulary.actions import Answer, Capabilities, Plan, Reply
from watchtower.vocabulary.facts import CanaryEnded, EngineScrape, EngineSeen
from watchtower.vocabulary.incidents import Notice
from watchtower.vocabulary.instants import Instant


class Clock(Protocol):
    """The only way to know or to pass time."""

    def now(self) -> Instant: ...

    async def sleep(self, seconds: float) -> None: ...


class Supervisor(Protocol):
    """Owns the engine's process tree (or container, or pod): the half of an adapter that can restart things.

    Methods may block up to the adapter child's deadline; they run in that child, never in the daemon.
    """

    def capabilities(self) -> Capabilities: ...

    def observe(self, at: float) -> EngineSeen:
        """Identity of what runs now. ``known=False`` when it cannot be told; never raises for a sick engine."""
        ...

    def execute(self, plan: Plan) -> Reply:
        """Begin ``plan``. Refuses before any effect when the incarnation differs, the fence is higher, or
        ``not_after`` passed. The same op_id twice is one effect where ``idempotent_durable`` is claimed."""
        ...

    def status(self, op_id: str) -> Answer: ...

    def fence(self, token: int) -> bool:
        """From now on refuse every token lower than this, durably. False: could not be confirmed."""
        ...


class Engine(Protocol):
    """The HTTP half of an adapter: what one serving engine says about itself, in our words."""

    def serving(self) -> tuple[bool, str]:
        """(accepts requests, version). A hint, never proof of health."""
        ...

    def scrape(self, at: float) -> EngineScrape: ...

    def canary(self, id: str, started_at: float, deadline_seconds: float) -> CanaryEnded:
        """One fresh one-token generation, sent to the engine itself."""
        ...


class Sink(Protocol):
    """One destination for notices. Stateless: retries, order and circuit live in the outbox."""

    name: str

    async def send(self, notice: Notice, attempt: int) -> Delivery: ...


class Delivery(Protocol):
    """What became of one attempt (``watchtower.sinks.delivery`` has the values)."""

    delivered: bool
    final: bool
    """No retry can help (4xx but 429)."""
    retry_after: float | None
    because: str
    """A kind, never a URL, a body or a secret."""
