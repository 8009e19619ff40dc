"""Each look becomes a fact, at its own time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from watchtower.services.watching.looks import observe, scrape
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.facts import AnyFact, EngineScrape, EngineSeen


class Eyes:
    def __init__(self, clock: HandClock) -> None:
        self.clock = clock

    async def observe(self) -> EngineSeen:
        return EngineSeen(at=self.clock.now().boot, known=False, because="nobody answers")

    async def scrape(self) -> EngineScrape:
        return EngineScrape(at=self.clock.now().boot, ok=False, because="refused")


@pytest.mark.parametrize(("look", "kind"), [(observe, EngineSeen), (scrape, EngineScrape)])
async def test_what_was_seen_becomes_a_fact_at_every_period(look: Any, kind: type) -> None:
    clock, facts = HandClock(), list[AnyFact]()
    task = asyncio.create_task(look(Eyes(clock), facts.append, clock, 2.0))
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [type(fact) for fact in facts] == [kind] * 3
    assert [fact.at - 1000.0 for fact in facts] == [0, 2, 4]
