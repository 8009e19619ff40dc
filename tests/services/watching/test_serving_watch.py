"""Nobody is turned away but for what is proven."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from watchtower.services.watching.contact_book import ContactBook
from watchtower.services.watching.serving_watch import (
    FRAME_SECONDS,
    LASTS_SECONDS,
    RENEW_SECONDS,
    STALE_SECONDS,
    ServingWatch,
)
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.actions import Incarnation
from watchtower.vocabulary.contacts import ContactKind
from watchtower.vocabulary.facts import EngineScrape, EngineSeen, HoldState, RelayFrame, ServingOrder
from watchtower.vocabulary.readings import Reading, RuleVerdict, Severity, Verdict

RUNS = Incarnation("1", "1", "b")


class House:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.contacts = ContactBook()
        self.engine: EngineSeen | None = self.seen(incarnation=RUNS)
        self.verdicts: list[RuleVerdict] = []
        self.frames: list[RelayFrame] = []
        self.sent: list[ServingOrder] = []
        self.watch = ServingWatch(
            self.clock,
            engine=lambda: self.engine,
            contacts=self.contacts,
            verdicts=lambda: self.verdicts,
            frames=lambda: self.frames,
            send=self.sent.append,
        )

    def seen(self, **more: Any) -> EngineSeen:
        return EngineSeen(**{"at": self.clock.now().boot, "known": True, **more})

    def refused(self) -> None:
        for ago in (6, 0):
            at = self.clock.now().boot - ago
            self.contacts.absorb(EngineScrape(at=at, ok=False, contact=ContactKind.REFUSED))

    @property
    def word(self) -> tuple[bool, bool]:
        word = self.watch.word()
        return word.known, word.serving


def hang(*, stalled: float | None = 25.0, unanswered: float | None = 6.0, firing: bool = True) -> RuleVerdict:
    readings = (
        Reading(name="token_progress.stalled", over=60, at=0, value=stalled),
        Reading(name="canary.unanswered", over=60, at=0, value=unanswered),
    )
    verdict = Verdict.BREACH if firing else Verdict.OK
    return RuleVerdict(rule="mine", verdict=verdict, firing=firing, severity=Severity.PAGE, readings=readings)


@pytest.fixture
def house() -> House:
    return House()


def test_an_engine_that_runs_serves(house: House) -> None:
    assert house.word == (True, True)


def test_a_proven_death_turns_away_and_says_how_it_ended(house: House) -> None:
    house.engine = house.seen(ended=RUNS, because="exit status 137")
    assert house.word == (True, False)
    assert "exit status 137" in house.watch.word().reason


def test_a_confirmed_hang_turns_away_whatever_its_rule_is_called(house: House) -> None:
    house.verdicts = [hang()]
    assert house.word == (True, False)


@pytest.mark.parametrize("verdict", [hang(stalled=0.0), hang(unanswered=None), hang(firing=False)])
def test_one_witness_is_none(house: House, verdict: RuleVerdict) -> None:
    house.verdicts = [verdict]
    assert house.word == (True, True)


def test_a_rule_about_anything_else_turns_nobody_away(house: House) -> None:
    slow = Reading(name="inter_token_latency_seconds.p95", over=60, at=0, value=9.0)
    house.verdicts = [RuleVerdict(rule="slow", verdict=Verdict.BREACH, firing=True, readings=(slow,))]
    assert house.word == (True, True)


def test_an_engine_that_answers_nobody_is_gone_whoever_supervises_it(house: House) -> None:
    house.engine = house.seen(known=False, because="no supervisor is configured")
    assert house.word == (False, True), "that nobody can tell turns nobody away"
    house.refused()
    assert house.word == (True, False)


@pytest.mark.parametrize("trouble", ["dead", "hung", "silent"])
def test_a_hold_answers_yes_because_requests_wait(house: House, trouble: str) -> None:
    house.engine = house.seen(ended=RUNS) if trouble == "dead" else house.engine
    house.verdicts = [hang()] if trouble == "hung" else []
    if trouble == "silent":
        house.refused()
    assert house.word == (True, False)
    now = house.clock.now().boot
    held = RelayFrame(at=now, worker=0, pid=1, sequence=1, open_exchanges=0, hold=HoldState.HOLDING, hold_op="op")
    house.frames = [held]
    assert house.word == (True, True)
    house.frames = [msgspec.structs.replace(held, at=now - FRAME_SECONDS - 1)]
    assert house.word == (True, False), "a worker that fell silent tells of no hold"


def test_what_was_seen_long_ago_proves_nothing(house: House) -> None:
    house.engine = house.seen(ended=RUNS)
    house.clock.advance(STALE_SECONDS + 1)
    assert house.word == (False, True)
    house.engine = None
    assert house.word == (False, True)


async def test_the_workers_are_told_at_once_when_it_changes_and_else_before_their_word_lapses(house: House) -> None:
    task = asyncio.create_task(house.watch.run())

    async def passes(seconds: float) -> None:
        until = house.clock.now().boot + seconds
        while house.clock.now().boot < until:  # noqa: ASYNC110  (time is moved by the task itself)
            await asyncio.sleep(0)

    await passes(0.5)
    assert [order.serving for order in house.sent] == [True]
    assert house.sent[0].until <= house.clock.now().boot + LASTS_SECONDS
    house.engine = house.seen(ended=RUNS)
    await passes(1.5)
    assert [order.serving for order in house.sent] == [True, False]
    await passes(2 * RENEW_SECONDS + 1)
    assert [order.serving for order in house.sent][2:4] == [False, False]
    task.cancel()
