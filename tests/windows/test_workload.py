"""Which seconds were worked."""

from __future__ import annotations

import pytest

from watchtower.vocabulary.facts import RelayFrame
from watchtower.windows.workload import Workload


def frame(at: float, open_exchanges: int, worker: int = 0) -> RelayFrame:
    return RelayFrame(at=at, worker=worker, pid=1, sequence=0, open_exchanges=open_exchanges)


def ratio(frames: list[RelayFrame], over: float = 10, now: float = 20.0) -> float:
    workload = Workload(300)
    for relay_frame in frames:
        workload.frame(relay_frame)
    return workload.ratio(over, now)


def test_an_open_exchange_works_every_second_although_frames_come_only_once_in_each() -> None:
    assert ratio([frame(9.1 + 1.01 * n, 1) for n in range(12)]) == 1.0


def test_an_idle_engine_worked_none() -> None:
    assert ratio([frame(9.1 + n, 0) for n in range(12)]) == 0.0


def test_half_of_the_seconds() -> None:
    assert ratio([frame(9.0 + n / 2, int(n < 11)) for n in range(24)]) == pytest.approx(0.5, abs=0.1)


def test_the_workers_share_the_work() -> None:
    first = [frame(9.0 + n / 2, int(n < 11), worker=0) for n in range(24)]
    second = [frame(9.0 + n / 2, int(n >= 11), worker=1) for n in range(24)]
    assert ratio(sorted(first + second, key=lambda relay_frame: relay_frame.at)) == 1.0


def test_a_silent_worker_does_not_speak_for_its_silence() -> None:
    assert ratio([frame(9.0, 1), frame(19.5, 1)]) == pytest.approx(0.1)


def test_memory_is_bounded() -> None:
    workload = Workload(60)
    for n in range(20_000):
        workload.frame(frame(float(n), 1))
    assert len(workload._worked) <= 3 * 60 + 2
