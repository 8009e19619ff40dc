"""Rounds of reference canaries: on schedule, on a hint, and after a cure. Bounded in requests, tokens and rate.

A round is never worth a user's latency: it waits while the engine has a queue, doubles its patience each time, ends at
the first answer that does not come, and rests while users ask nothing. What a round could not ask is said as a fact.
Nothing here judges an answer; ``Judge`` does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import msgspec

from watchtower.canaries.asking import Asking, Replies
from watchtower.canaries.demand import Demand
from watchtower.ports import Clock
from watchtower.settings import ReferenceSettings
from watchtower.vocabulary.facts import CanaryRound, ReferenceAnswered
from watchtower.vocabulary.reasons import Reason, ReasonKind
from watchtower.vocabulary.references import Reference, ReferenceSet

MOST_PATIENCE = 8
"""A saturated engine is left alone for at most so many times the least interval."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What one answer says, and the evidence that the whole round is judged by."""

    fact: ReferenceAnswered
    evidence: Any = None


class Judge(Protocol):
    """Compares answers with the blessed ones."""

    async def answer(self, references: ReferenceSet, reference: Reference, replies: Replies, round: int) -> Judged: ...

    def round(self, judged: Sequence[Judged]) -> tuple[bool | None, str]:
        """(clean, cause); clean None: too few answers to tell."""
        ...


class Rounds:
    """``wish(why)`` asks for one; ``run`` holds them."""

    def __init__(
        self,
        settings: ReferenceSettings,
        *,
        clock: Clock,
        asking: Asking,
        judge: Judge,
        demand: Demand,
        blessed: Callable[[], ReferenceSet | None],
        on_fact: Callable[[ReferenceAnswered | CanaryRound], None],
        ranks: int = 1,
    ) -> None:
        """``ranks``: of data parallelism; each is visited, and judged alone: one sick rank of eight must not hide in
        a mean."""
        self._settings = settings
        self._clock = clock
        self._asking = asking
        self._judge = judge
        self._demand = demand
        self._blessed = blessed
        self._on_fact = on_fact
        self._ranks = tuple(range(ranks)) if ranks > 1 else (-1,)
        self._wish = ""
        self._not_before = -1e18
        self._patience = 1
        self._turn = 0
        self.count = 0
        self.tokens = 0
        """Prompt and completion tokens that rounds have cost."""
        self.results = dict.fromkeys(("clean", "changed", "unclear", "skipped"), 0)
        self.answers = dict.fromkeys(("answered", "unanswered"), 0)

    def wish(self, why: str, *, regular: bool = False) -> None:
        """Ask for a round as soon as it may be. A ``regular`` one is dropped while users ask nothing."""
        if self._blessed() is None:
            return
        if regular and not self._settings.while_idle:
            because = self._demand.idle(self._clock.now().boot, self._settings.idle_seconds)
            if because:
                self._skip(Reason(ReasonKind.IDLE, because))
                return
        self._wish = self._wish or why

    async def run(self) -> None:
        while True:
            references = self._blessed()
            now = self._clock.now().boot
            if not self._wish or references is None or now < self._not_before:
                await self._clock.sleep(0.1)
                continue
            saturated = _saturated(self._demand.saturated(now))
            if saturated is not None:
                self._not_before = now + self._patience * self._settings.least_interval_seconds
                self._patience = min(2 * self._patience, MOST_PATIENCE)
                self._skip(saturated)
                continue
            self._wish, self._patience = "", 1
            for rank in self._ranks:
                if (await self.hold(references, rank)).because:
                    break
            self._not_before = now + self._settings.least_interval_seconds

    async def hold(self, references: ReferenceSet, rank: int = -1) -> CanaryRound:
        """One round, now, of one data-parallel rank (−1: whichever the engine chooses)."""
        asking = self._asking.of(rank)
        self.count += 1
        number, judged = self.count, list[Judged]()
        chosen = self._affordable(references)
        checked = self._asking.cache_checked(references)
        left = iter(chosen)
        asked, stopped = list[str](), list[Reason]()

        async def work() -> None:
            for reference in left:
                reason = stopped[0] if stopped else _saturated(self._demand.saturated(self._clock.now().boot))
                replies = None
                if reason is None:
                    asked.append(reference.prompt.id)
                    salt = f"{references.id}-{number}-{reference.prompt.id}-{self._clock.now().wall:.3f}"
                    cached = f"{references.id}-{reference.prompt.id}" if reference.prompt.id in checked else ""
                    replies = await asking.again(reference, salt, cached)
                    self.tokens += replies.tokens
                    reason = Reason(ReasonKind.UNREADABLE, replies.because) if replies.because else None
                if reason is not None:
                    stopped.append(reason)
                because = "" if reason is None else reason.text
                found = await self._judged(references, reference, replies, because, number)
                judged.append(replace(found, fact=msgspec.structs.replace(found.fact, rank=rank)))
                self._on_fact(judged[-1].fact)

        await asyncio.gather(*(work() for _ in range(self._settings.concurrency)))
        return self._conclude(number, rank, len(asked), judged, stopped[0] if stopped else None)

    async def _judged(
        self, references: ReferenceSet, reference: Reference, replies: Replies | None, because: str, number: int
    ) -> Judged:
        if because or replies is None:
            self.answers["unanswered"] += 1
            at = self._clock.now().boot
            return Judged(ReferenceAnswered(at=at, round=number, reference=reference.prompt.id, because=because))
        self.answers["answered"] += 1
        return await self._judge.answer(references, reference, replies, number)

    def _conclude(
        self, number: int, rank: int, asked: int, judged: Sequence[Judged], stopped: Reason | None
    ) -> CanaryRound:
        answered = [found for found in judged if not found.fact.because]
        clean, cause = self._judge.round(answered)
        fact = CanaryRound(
            at=self._clock.now().boot,
            round=number,
            rank=rank,
            asked=asked,
            answered=len(answered),
            clean=clean,
            cause=cause,
            because="" if stopped is None else stopped.text,
            kind=ReasonKind.UNREADABLE if stopped is None else stopped.kind,
        )
        self.results["unclear" if clean is None else "clean" if clean else "changed"] += 1
        self._on_fact(fact)
        return fact

    def _skip(self, reason: Reason) -> None:
        self.results["skipped"] += 1
        at = self._clock.now().boot
        self._on_fact(CanaryRound(at=at, round=self.count, asked=0, answered=0, because=reason.text, kind=reason.kind))

    def _affordable(self, references: ReferenceSet) -> list[Reference]:
        """All of them where the budget allows it; else as many as it does, in turns."""
        every, checked = references.references, self._asking.cache_checked(references)
        chosen: list[Reference] = []
        left = self._settings.tokens_per_round
        for reference in _from(every, self._turn):
            left -= self._asking.cost(reference, cached=reference.prompt.id in checked)
            if left < 0 and chosen:
                break
            chosen.append(reference)
        self._turn = (self._turn + len(chosen)) % max(1, len(every))
        return chosen


def _saturated(because: str) -> Reason | None:
    """Our questions wait until the engine has time for them; None for ""."""
    return Reason(ReasonKind.TOO_FEW, because) if because else None


def _from(references: Sequence[Reference], first: int) -> Iterator[Reference]:
    return (references[(first + index) % len(references)] for index in range(len(references)))
