"""What the scorer child costs and gives, beside the library it is made of, in the same run.

Both sides embed the same texts, each of which fits into one piece, in batches of the same size and with as many
threads; they take turns, because a machine's speed changes with its neighbours. Ours goes through the pipe, the queue
and the daemon's decoding. Then the governor is asked to keep its promise: work without end, for a while.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from statistics import median

import msgspec

from watchtower.lab.benchmarks.budgets import Budget
from watchtower.lab.benchmarks.host import Machine, this_machine
from watchtower.ports import Clock
from watchtower.scoring.batches import BATCH_TEXTS
from watchtower.scoring.choosing import local
from watchtower.scoring.measures.governor import BURST_SECONDS
from watchtower.scoring.scorer_child import ScorerChild
from watchtower.settings import ScoringSettings
from watchtower.tasks import TaskGroup
from watchtower.vocabulary.errors import NotReachable

ROUNDS = 5
TEXTS = 64
GOVERNED_SECONDS = 30.0
RSS_LIMIT_MB = 650
WORDS = "the tower watches over a quiet harbour while ships of every size come and go with the morning tide"


class ScoringCost(msgspec.Struct, frozen=True, kw_only=True):
    machine: Machine
    encoder: str
    raw_per_second: float
    """Texts a second through the library's own ``encode``."""
    ours_per_second: float
    cpu_share: float
    """Of the machine, while there was always more to do."""
    cpu_allowed: float
    rss_mb: float
    budgets: list[Budget]


async def measure(settings: ScoringSettings, clock: Clock, progress: Callable[[str], None]) -> ScoringCost:
    """Raises NotReachable when there is no encoder."""
    machine = this_machine({})
    everything = settings.model_copy(update={"cpu_ratio": 1.0})
    child, tasks = local(everything, clock), TaskGroup(clock.sleep)
    tasks.start("scorer", child.run, restart_after=None)
    try:
        progress("loading the encoder twice")
        warm = await child.embed(_texts(BATCH_TEXTS))
        if warm.vectors is None:
            raise NotReachable(f"no encoder to measure: {warm.because}")
        raw, ours = await _in_turns(child, max(1, machine.cores), clock, progress)
        rss = child.report.rss_bytes / 1e6
    finally:
        await child.close()
        await tasks.stop()
    progress(f"the governor at {settings.cpu_ratio:.0%} of the machine for {GOVERNED_SECONDS:g} s")
    share, governed_rss = await _governed(settings, clock)
    budgets = [
        Budget(what="throughput against raw encode", limit=0.9, measured=ours / raw, unit="×", at_least=True),
        Budget(what="resident memory of the scorer", limit=RSS_LIMIT_MB, measured=max(rss, governed_rss), unit="MB"),
        Budget(
            what="CPU share while there is always more to do",
            limit=100 * settings.cpu_ratio,
            measured=100 * share,
            unit="%",
        ),
    ]
    return ScoringCost(
        machine=machine,
        encoder=warm.encoder,
        raw_per_second=raw,
        ours_per_second=ours,
        cpu_share=share,
        cpu_allowed=settings.cpu_ratio,
        rss_mb=max(rss, governed_rss),
        budgets=budgets,
    )


async def _in_turns(
    child: ScorerChild, threads: int, clock: Clock, progress: Callable[[str], None]
) -> tuple[float, float]:
    """Median texts a second: raw, ours."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "watchtower.programs.scorer", "--raw", str(threads), str(BATCH_TEXTS),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1024 * 1024,
    )  # fmt: skip
    texts = _texts(TEXTS)
    raw: list[float] = []
    ours: list[float] = []
    try:
        if process.stdin is None or process.stdout is None:
            raise NotReachable("no pipe to the raw encoder")
        for number in range(ROUNDS):
            progress(f"round {number + 1} of {ROUNDS}: raw encode, then ours")
            process.stdin.write(json.dumps(texts).encode() + b"\n")
            line = await process.stdout.readline()
            if not line:
                raise NotReachable("the raw encoder ended")
            raw.append(TEXTS / float(line))
            began = clock.now().boot
            answer = await child.embed(texts)
            if answer.vectors is None:
                raise NotReachable(f"the scorer gave up: {answer.because}")
            ours.append(TEXTS / (clock.now().boot - began))
    finally:
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()
    return median(raw), median(ours)


async def _governed(settings: ScoringSettings, clock: Clock) -> tuple[float, float]:
    """Share of the machine's CPU spent on embedding, and resident megabytes."""
    child, tasks = local(settings, clock), TaskGroup(clock.sleep)
    tasks.start("scorer", child.run, restart_after=None)
    try:
        await child.embed(_texts(1))  # a canary's text waits until the encoder is loaded, a live one would not
        while child.report.cpu_seconds < BURST_SECONDS:  # the burst is no part of what is kept over time
            if (await child.embed(_texts(BATCH_TEXTS), live=True)).vectors is None:
                break
        before, began = child.report.cpu_seconds, clock.now().boot
        while clock.now().boot - began < GOVERNED_SECONDS:
            answer = await child.embed(_texts(BATCH_TEXTS), live=True)
            if answer.vectors is None:
                raise NotReachable(f"the scorer gave up: {answer.because}")
        seconds = clock.now().boot - began
        spent = child.report.cpu_seconds - before
        return spent / seconds / len(os.sched_getaffinity(0)), child.report.rss_bytes / 1e6
    finally:
        await child.close()
        await tasks.stop()


def _texts(count: int) -> list[str]:
    """Of one piece each, about 200 word pieces, all different."""
    words = WORDS.split()
    return [
        " ".join(words[(number * 7 + place * (1 + number % 5)) % len(words)] for place in range(150))
        for number in range(count)
    ]
