"""The promised run lengths and delays are measured, and met on the worlds that need no encoder."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.services.comparing.test_sameness import said
from watchtower.lab.benchmarks import detection


def test_the_goals_on_made_up_canaries_are_met() -> None:
    found = [*detection.similarity(streams=300).budgets, *detection.agreement().budgets]
    assert [budget.what for budget in found if not budget.met] == []


async def test_drift_reads_recordings_and_tells_a_rerun_from_a_change(tmp_path: Path) -> None:
    for seed, name in enumerate((*detection.SAME, *detection.CHANGED)):
        words = 100 if name == detection.CHANGED[1] else 60
        lines = [json.dumps({"id": i, "output": said(seed, i, words)}) for i in range(500)]
        (tmp_path / f"{name}.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))

    async def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        """Noise: this test is about the rest."""
        return np.random.default_rng(len(texts[0])).normal(0, 0.05, (len(texts), 8)).astype(np.float32)

    found = await detection.drift(tmp_path, embed)
    assert [budget.met for budget in found.budgets] == [True, True]
    with pytest.raises(OSError):
        await detection.drift(tmp_path / "nowhere", embed)
