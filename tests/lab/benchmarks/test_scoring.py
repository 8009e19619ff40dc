"""The scorer's bench needs an encoder, says so when there is none, and measures texts of one piece each."""

from __future__ import annotations

from pathlib import Path

import pytest

from watchtower.clock import SystemClock
from watchtower.lab.benchmarks import scoring
from watchtower.settings import ScoringSettings
from watchtower.vocabulary.errors import NotReachable


async def test_without_an_encoder_nothing_is_measured_and_the_reason_is_said(tmp_path: Path) -> None:
    settings = ScoringSettings(model=str(tmp_path / "no-model"), deadline_seconds=60)
    progress: list[str] = []
    with pytest.raises(NotReachable, match="no encoder to measure"):
        await scoring.measure(settings, SystemClock(), progress.append)
    assert progress == ["loading the encoder twice"]
