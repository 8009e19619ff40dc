"""Which encoder the configuration gets, and that every one of them can be run, asked and closed."""

from __future__ import annotations

import os

import pytest

from watchtower.scoring.choosing import NoEncoder, chosen
from watchtower.scoring.embeddings_server import EmbeddingsServer
from watchtower.scoring.scorer_child import ScorerChild
from watchtower.settings import EncoderKind, ScoringSettings
from watchtower.testing.clock import HandClock


async def test_none_is_unknown_on_purpose_and_returns_at_once() -> None:
    encoder = chosen(ScoringSettings(encoder=EncoderKind.NONE), HandClock())
    assert isinstance(encoder, NoEncoder)
    await encoder.run()
    assert (await encoder.embed(["a"])).because == "scoring.encoder is 'none'"
    await encoder.close()


async def test_a_server_has_nothing_to_keep_alive() -> None:
    settings = ScoringSettings(encoder=EncoderKind.SERVER, url="http://127.0.0.1:9/v1", model="tiny")
    encoder = chosen(settings, HandClock())
    assert isinstance(encoder, EmbeddingsServer)
    await encoder.run()
    await encoder.close()


@pytest.mark.parametrize(("ratio", "threads"), [(1.0, len(os.sched_getaffinity(0))), (0.001, 1)])
def test_a_child_gets_its_share_of_the_cores_that_this_process_may_use(ratio: float, threads: int) -> None:
    encoder = chosen(ScoringSettings(cpu_ratio=ratio), HandClock())
    assert isinstance(encoder, ScorerChild)
    assert encoder._plan.threads == threads
    assert encoder.report.children == 0, "it is not started"
