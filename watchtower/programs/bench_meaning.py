"""``watchtower bench detect`` and ``watchtower bench score``: the output detectors and the scorer, measured."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from watchtower.benchmarks import detection
from watchtower.benchmarks.budgets import Budget
from watchtower.benchmarks.detection import Goals
from watchtower.benchmarks.machine import this_machine
from watchtower.benchmarks.scoring import measure
from watchtower.clock import SystemClock
from watchtower.programs.bench import exit_code, plain_console, progress, show_budgets, show_machine
from watchtower.scoring.choosing import local
from watchtower.settings import ScoringSettings
from watchtower.tasks import TaskGroup
from watchtower.vocabulary.errors import NotReachable

DATA = "WATCHTOWER_TEST_DATA"
RECORDINGS = "alpaca-eval-outputs"


def detect(*, as_json: bool) -> int:
    """Delays and false alarms from fixed seeds; real outputs where recordings and encoder are at hand."""
    machine = this_machine({})
    found = []
    for name, goals in (
        ("run lengths", detection.run_lengths),
        ("similarity", detection.similarity),
        ("agreement", detection.agreement),
    ):
        progress(name)
        found.append(goals())
    found.append(_drift())
    budgets = [budget for goals in found for budget in goals.budgets]
    notes = [note for goals in found for note in goals.notes]
    if as_json:
        told = {"machine": msgspec.to_builtins(machine), "goals": [one.as_json() for one in budgets], "notes": notes}
        print(json.dumps(told, indent=2))
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
        told = {**msgspec.to_builtins(cost), "budgets": [budget.as_json() for budget in cost.budgets]}
        print(json.dumps(told, indent=2))
        return exit_code(cost.budgets)
    console = plain_console()
    show_machine(console, cost.machine)
    console.print(f"{cost.encoder}: raw {cost.raw_per_second:.1f}, ours {cost.ours_per_second:.1f} texts/s")
    show_budgets(console, cost.budgets)
    return exit_code(cost.budgets)


def _drift() -> Goals:
    folder = Path(os.environ.get(DATA, "/nowhere")) / RECORDINGS
    what = "drift on recorded outputs, with the real encoder"
    if not folder.is_dir():
        because = f"{DATA} names no directory with {RECORDINGS}"
        return Goals([Budget(what=what, limit=60, measured=None, unit="prompts", because=because)], [])
    try:
        return asyncio.run(_drift_with_encoder(folder))
    except (OSError, NotReachable) as problem:
        return Goals([Budget(what=what, limit=60, measured=None, unit="prompts", because=str(problem))], [])


async def _drift_with_encoder(folder: Path) -> Goals:
    clock = SystemClock()
    encoder, tasks = local(ScoringSettings(cpu_ratio=1.0), clock), TaskGroup(clock.sleep)
    tasks.start("scorer", encoder.run, restart_after=None)

    async def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        rows: list[list[float]] = []
        for first in range(0, len(texts), 64):
            answer = await encoder.embed(texts[first : first + 64])
            if answer.vectors is None:
                raise NotReachable(answer.because)
            rows += answer.vectors
        progress(f"{len(rows)} answers embedded")
        return np.asarray(rows, dtype=np.float32)

    try:
        return await detection.drift(folder, embed)
    finally:
        await encoder.close()
        await tasks.stop()
