"""Ready means that Watchtower sees, not that the engine is well."""

from __future__ import annotations

import pytest

from watchtower.services.watching.readiness import Readiness
from watchtower.vocabulary.facts import EngineSeen

LOOK = EngineSeen(at=0, known=True, serving=True)
SICK = EngineSeen(at=0, known=False, because="the adapter child was killed")


@pytest.mark.parametrize(
    ("workers", "engine", "because"),
    [
        ([], LOOK, "no relay worker has reported yet"),
        ([1], None, "the adapter has not looked yet"),
        ([1], LOOK, ""),
        ([1, 2], SICK, ""),
    ],
)
def test_ready_is_whoever_sees_the_traffic_and_has_looked_at_the_engine(
    workers: list[int], engine: EngineSeen | None, because: str
) -> None:
    assert Readiness(lambda: workers, lambda: engine).because() == because


def test_it_is_asked_anew_each_time() -> None:
    workers: list[int] = []
    readiness = Readiness(lambda: workers, lambda: LOOK)
    assert readiness.because()
    workers.append(1)
    assert readiness.because() == ""
