"""``watchtower bench detect`` and ``watchtower bench score``: the output detectors and the scorer, measured.

Also ``python -m watchtower.lab.benchmarks.quality detect|score``, which prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from watchtower.clock import SystemClock
from watchtower.lab.benchmarks import detection
from watchtower.lab.benchmarks.budgets import Budget
from watchtower.lab.benchmarks.detection import Goals
from watchtower.lab.benchmarks.host import Machine, this_machine
from watchtower.lab.benchmarks.kept_vectors import KeptVectors
from watchtower.lab.benchmarks.presentation import exit_code, plain_console, progress, show_budgets, show_machine
from watchtower.lab.benchmarks.scoring import measure
from watchtower.scoring.choosing import local
from watchtower.settings import ScoringSettings
from watchtower.tasks import TaskGroup
from watchtower.vocabulary.errors import NotReachable

DATA = "WATCHTOWER_TEST_DATA"
RECORDINGS = "alpaca-eval-outputs"
BATCH_SECONDS = 600.0
"""For eight of the longest answers, on a machine that is crowded."""
EMBEDDED_TOGETHER = 64
"""Answers, of like length, between two lines of progress and two savings of the file."""


def detect(vectors: Path | None = None, *, as_json: bool) -> int:
    """Delays and false alarms from fixed seeds; real outputs where recordings and encoder are at hand.

    ``vectors``: file that keeps the embeddings, so that a second run, or one that was broken off, need not make them
    again. Raises BadInput for a file that is none of ours."""
    machine, found = this_machine({}), []
    for name, goals in (
        ("run lengths", detection.run_lengths),
        ("similarity", detection.similarity),
        ("agreement", detection.agreement),
    ):
        progress(name)
        found.append(goals())
    found.append(drift(vectors))
    return tell(machine, found, as_json=as_json)


def tell(machine: Machine, found: list[Goals], *, as_json: bool) -> int:
    """Print what was found; the exit code says whether a goal was missed."""
    budgets = [budget for goals in found for budget in goals.budgets]
    notes = [note for goals in found for note in goals.notes]
    if as_json:
        shown = {
            "machine": msgspec.to_builtins(machine),
            "goals": [budget.as_json() for budget in budgets],
            "notes": notes,
        }
        print(json.dumps(shown, indent=2))
        return exit_code(budgets)
    console = plain_console()
    show_machine(console, machine)
    show_budgets(console, budgets)
    for note in notes:
        console.print(f"beside: {note}")
    return exit_code(budgets)


def score(*, as_json: bool) -> int:
    """Raises NotReachable without an encoder."""
    cost = asyncio.run(measure(ScoringSettings(), SystemClock(), progress))
    if as_json:
        shown = {**msgspec.to_builtins(cost), "budgets": [budget.as_json() for budget in cost.budgets]}
        print(json.dumps(shown, indent=2))
        return exit_code(cost.budgets)
    console = plain_console()
    show_machine(console, cost.machine)
    console.print(f"{cost.encoder}: raw {cost.raw_per_second:.1f}, ours {cost.ours_per_second:.1f} texts/s")
    show_budgets(console, cost.budgets)
    return exit_code(cost.budgets)


def drift(kept: Path | None) -> Goals:
    """On recorded outputs; unknown, with the reason, where recordings or encoder are missing."""
    folder = Path(os.environ.get(DATA, "/nowhere")) / RECORDINGS
    what = "drift on recorded outputs, with the real encoder"
    if not folder.is_dir():
        because = f"{DATA} names no directory with {RECORDINGS}"
        return Goals([Budget(what=what, limit=60, measured=None, unit="prompts", because=because)], [])
    try:
        return asyncio.run(_drift_with_encoder(folder, KeptVectors(kept)))
    except (OSError, NotReachable) as problem:
        return Goals([Budget(what=what, limit=60, measured=None, unit="prompts", because=str(problem))], [])


async def _drift_with_encoder(folder: Path, kept: KeptVectors) -> Goals:
    clock = SystemClock()
    encoder = local(ScoringSettings(cpu_ratio=1.0, deadline_seconds=BATCH_SECONDS), clock)
    tasks = TaskGroup(clock.sleep)

    async def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        missing = sorted({text for text in texts if text not in kept}, key=len)
        if missing and not tasks.running("scorer"):
            tasks.start("scorer", encoder.run, restart_after=None)
        for first in range(0, len(missing), EMBEDDED_TOGETHER):
            batch = missing[first : first + EMBEDDED_TOGETHER]
            answer = await encoder.embed(batch)
            if answer.vectors is None:
                raise NotReachable(answer.because)
            kept.keep(batch, answer.vectors, answer.encoder)
            progress(f"{first + len(batch)} of {len(missing)} answers embedded, the shortest first")
        return kept.rows(texts)

    try:
        return await detection.drift(folder, embed)
    finally:
        await encoder.close()
        await tasks.stop()


if __name__ == "__main__":
    raise SystemExit(score(as_json=True) if sys.argv[1:] == ["score"] else detect(as_json=True))
