"""One-token canaries: regular, on a hint, and to prove a cure. One at a time, never oftener than allowed.

A canary is sent to the engine itself, by the adapter child, so a hung engine blocks nothing here. A request that
comes while one is under way, or too soon after one, is remembered as one wish and served when it may be.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from watchtower.ports import Clock
from watchtower.settings import CanarySettings
from watchtower.vocabulary.facts import CanaryEnded, CanaryOutcome, CanaryStarted


class CanarySender(Protocol):
    def __call__(self, id: str, started_at: float, deadline_seconds: float) -> Awaitable[CanaryEnded]: ...


class Canaries:
    """``wish(why)`` asks for one; ``run`` sends them and reports facts."""

    def __init__(
        self,
        settings: CanarySettings,
        *,
        clock: Clock,
        send: CanarySender,
        on_fact: Callable[[CanaryStarted | CanaryEnded], None],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._send = send
        self._on_fact = on_fact
        self._wish = ""
        self._count = 0
        self._last_started = -1e18
        self.outcomes = dict.fromkeys(CanaryOutcome, 0)

    def wish(self, why: str) -> None:
        """Ask for a canary as soon as the least interval allows."""
        self._wish = self._wish or why

    async def run(self) -> None:
        while True:
            now = self._clock.now().boot
            if self._wish and now - self._last_started >= self._settings.least_interval_seconds:
                why, self._wish = self._wish, ""
                await self._ask(why)
            else:
                await self._clock.sleep(0.1)

    async def _ask(self, why: str) -> None:
        started = self._clock.now().boot
        self._last_started = started
        self._count += 1
        name = f"canary-{self._count}"
        self._on_fact(CanaryStarted(at=started, id=name, why=why))
        ended: CanaryEnded | None = None
        try:
            ended = await self._send(name, started, self._settings.deadline_seconds)
        finally:  # a canary without an end would read as a hung engine
            ended = ended or self._never_asked(name, started)
            self.outcomes[ended.outcome] += 1
            self._on_fact(ended)

    def _never_asked(self, name: str, started: float) -> CanaryEnded:
        now = self._clock.now().boot
        return CanaryEnded(
            at=now,
            id=name,
            started_at=started,
            outcome=CanaryOutcome.UNKNOWN,
            seconds=now - started,
            because="the canary could not be sent",
        )
