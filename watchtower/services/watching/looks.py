"""Regular looks at the engine through the adapter child: who runs, and what it says of itself. Each becomes a fact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from watchtower.ports import Clock
from watchtower.vocabulary.facts import EngineScrape, EngineSeen


class Eyes(Protocol):
    """What looking needs of the adapter child. No call raises: a look that failed is a fact as well."""

    async def observe(self) -> EngineSeen: ...

    async def scrape(self) -> EngineScrape: ...


async def observe(eyes: Eyes, on_fact: Callable[[EngineSeen], None], clock: Clock, period: float) -> None:
    """Look for ever, every ``period`` seconds."""
    while True:
        on_fact(await eyes.observe())
        await clock.sleep(period)


async def scrape(eyes: Eyes, on_fact: Callable[[EngineScrape], None], clock: Clock, period: float) -> None:
    """Read the engine's own metrics for ever, every ``period`` seconds."""
    while True:
        on_fact(await eyes.scrape())
        await clock.sleep(period)
