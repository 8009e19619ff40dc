"""``watchtower bench detect`` and ``watchtower bench score``: the output detectors and the scorer, measured."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from watchtower.clock import SystemClock
from watchtower.lab.benchmarks import detection
from watchtower.lab.benchmarks.budgets import Budget
from watchtower.lab.benchmarks.detection import Goals
from watchtower.lab.benchmarks.host import this_machine
from watchtower.lab.benchmarks.scoring import measure
from watchtower.programs.bench import exit_code, plain_console, progress, show_budgets, show_machine
from watchtower.scoring.choosing import local
from watchtower.settings import ScoringSettings
from watchtower.tasks import TaskGroup
from watchtower.vocabulary.errors import BadInput, NotReachable, Problem

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
    machine = this_machine({})
    found = []
    for name, goals in (
        ("run lengths", detection.run_lengths),
        ("similarity", detection.similarity),
        ("agreement", detection.agreement),
    ):
        progress(name)
        found.append(goals())
    found.append(_drift(vectors))
    budgets = [budget for goals in found for budget in goals.budgets]
    notes = [note for goals in found for note in goals.notes]
    if as_json:
        told = {
            "machine": msgspec.to_builtins(machine),
            "goals": [budget.as_json() for budget in budgets],
            "notes": notes,
        }
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


def _drift(kept: Path | None) -> Goals:
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
    encoder, tasks = (
        local(ScoringSettings(cpu_ratio=1.0, deadline_seconds=BATCH_SECONDS), clock),
        TaskGroup(clock.sleep),
    )

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


class KeptVectors:
    """Embeddings by the checksum of their text, in memory and, where a file is named, in it."""

    def __init__(self, path: Path | None) -> None:
        """Raises BadInput for a file that is none of ours."""
        self._path = path
        self._encoder = ""
        self._rows: dict[str, NDArray[np.float32]] = {}
        if path is None or not path.exists():
            return
        try:
            with np.load(path, allow_pickle=False) as file:
                self._encoder = str(file["encoder"])
                self._rows = dict(zip(map(str, file["names"]), file["rows"], strict=True))
        except (OSError, ValueError, KeyError) as problem:
            cure = "name another file; it is written by 'watchtower bench detect --vectors FILE'"
            raise BadInput([Problem("--vectors", "", f"{path} holds no embeddings of ours", cure)]) from problem

    def __contains__(self, text: str) -> bool:
        return _name(text) in self._rows

    def keep(self, texts: Sequence[str], vectors: Sequence[Sequence[float]], encoder: str) -> None:
        """Raises BadInput when the file holds another encoder's."""
        if self._rows and encoder != self._encoder:
            what = f"{self._path} holds embeddings of {self._encoder}, and this is {encoder}"
            raise BadInput([Problem("--vectors", "", what, "name another file")])
        self._encoder = encoder
        for text, vector in zip(texts, vectors, strict=True):
            self._rows[_name(text)] = np.asarray(vector, dtype=np.float32)
        if self._path is not None:
            beside = self._path.with_suffix(".new")
            with beside.open("wb") as file:
                np.savez(file, encoder=self._encoder, names=list(self._rows), rows=np.array(list(self._rows.values())))
            beside.replace(self._path)

    def rows(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([self._rows[_name(text)] for text in texts], dtype=np.float32)


def _name(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:24]
