"""Keeps one child alive: a life, a pause that grows with every failure, the next life."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import structlog

from watchtower.children.policy.backoff import Backoff
from watchtower.children.policy.restart import Exit, ExitKind, restart
from watchtower.ports import Clock

log = structlog.get_logger("watchtower.children")


class Respawned(Protocol):
    """One kind of child, as its room knows it."""

    @property
    def event(self) -> str:
        """What the log says when one is gone: ``gpu child gone``. One for all of a kind, so that people can watch for
        it."""
        ...

    @property
    def labels(self) -> Mapping[str, Any]:
        """What the log says beside it: which of several, how it ended."""
        ...

    async def live(self) -> Exit:
        """Start a child and stay until it is gone. FINAL where none is to be started any more."""
        ...

    async def pause(self, ended: Exit, seconds: float) -> None:
        """Between a failure and the next start; may be shorter when the next one is wanted sooner."""
        ...


async def respawn(child: Respawned, backoff: Backoff, clock: Clock) -> None:
    """Until an exit is FINAL, or cancelled."""
    while True:
        born = clock.now().boot
        ended = await child.live()
        following = restart(ended.kind, clock.now().boot - born, backoff)
        if following is None:
            return
        backoff = following.backoff
        if ended.kind is ExitKind.FAILED:
            log.warning(child.event, **child.labels, because=ended.because, again_in_seconds=following.after_seconds)
            await child.pause(ended, following.after_seconds)
