"""A model engine under every kind of load: saturation and other traffic are never called sickness, sickness soon is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tests.detectors.engine_model import Clients, Engine
from watchtower.detectors import LoadExplainsLatency
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.readings import Truth

HEALTHY_SECONDS = 1200


def ramp(now: float) -> float:
    """From 2 to 8 requests a second in ten minutes, then steady: a third of what the engine can."""
    return 2 + 6 * min(1.0, now / 600)


def after(before: float, then: float) -> Callable[[float], float]:
    return lambda now: before if now < HEALTHY_SECONDS else then


def watch(engine: Engine, seconds: int) -> list[tuple[float, Truth, str]]:
    """Learn for HEALTHY_SECONDS, then ask for ``seconds``: (seconds since then, truth, sentence)."""
    detector, said = LoadExplainsLatency(), []
    for now, seen in engine.readings(HEALTHY_SECONDS + seconds):
        if now <= HEALTHY_SECONDS:
            detector.learn(Instant(now, 1e9 + now, "b"), seen)
        else:
            answer = detector.explain(seen)
            said.append((now - HEALTHY_SECONDS, answer.truth, answer.sentence))
    return said


def never_false(said: list[tuple[float, Truth, str]]) -> None:
    assert [entry for entry in said if entry[1] is Truth.FALSE] == []
    assert said


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("factor", [3.0, 10.0])
def test_sickness_at_steady_open_loop_traffic_is_told_within_a_minute(factor: float, seed: int) -> None:
    engine = Engine(clients=Clients(arrivals=ramp), seed=seed, sickness=after(1, factor), window=60)
    said = watch(engine, 180)
    assert any(truth is Truth.FALSE for since, truth, _ in said if since <= 60)
    settled = Counter(truth for since, truth, _ in said if since > 60)
    assert settled[Truth.FALSE] > settled.total() / 2, said
    assert not settled[Truth.TRUE]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("factor", [3.0, 10.0])
def test_sickness_with_closed_loop_callers_is_told_within_a_minute(factor: float, seed: int) -> None:
    clients = Clients(callers=lambda now: 16, think_seconds=3)
    said = watch(Engine(clients=clients, seed=seed, sickness=after(1, factor)), 120)
    assert any(truth is Truth.FALSE for since, truth, _ in said if since <= 60)
    settled = Counter(truth for since, truth, _ in said if since > 60)
    assert settled[Truth.FALSE] > settled.total() / 2, said


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("batch_rise", [0.02, 0.3])
def test_a_healthy_engine_driven_into_saturation_is_never_called_sick(batch_rise: float, seed: int) -> None:
    def rising(now: float) -> float:
        return ramp(now) / (1 + 10 * batch_rise) * (1 + max(0.0, now - HEALTHY_SECONDS) / 120)

    said = watch(Engine(clients=Clients(arrivals=rising), seed=seed, batch_rise=batch_rise), 600)
    never_false(said)
    assert said[-1][1] is Truth.TRUE and said[-1][2].startswith("saturated: ")


def test_more_closed_loop_callers_at_a_full_engine_are_never_called_sickness() -> None:
    def callers(now: float) -> int:
        return 16 if now < HEALTHY_SECONDS else 80

    clients = Clients(callers=callers, think_seconds=0.2)
    never_false(watch(Engine(clients=clients, batch_rise=1.0, most_running=256), 300))


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    "clients",
    [
        Clients(arrivals=ramp, prompt_bytes=after(400, 20_000)),
        Clients(arrivals=ramp, prompt_bytes=lambda now: 40_000 if 0 <= now - HEALTHY_SECONDS < 60 else 400),
        Clients(arrivals=ramp, output_tokens=after(20, 80)),
        Clients(arrivals=ramp, output_tokens=after(20, 7)),
        Clients(arrivals=lambda now: after(ramp(now), 0.2)(now)),
    ],
    ids=["longer prompts", "a burst of long prompts, then the queue of them", "longer answers", "shorter", "idle"],
)
def test_other_traffic_on_a_healthy_engine_is_never_called_sickness(clients: Clients, seed: int) -> None:
    never_false(watch(Engine(clients=clients, seed=seed), 420))


def test_before_a_range_of_loads_was_seen_an_engine_that_keeps_up_while_sick_is_not_told_from_a_full_one() -> None:
    engine = Engine(clients=Clients(arrivals=lambda now: 4), sickness=after(1, 3), window=60)
    settled = [entry for entry in watch(engine, 180) if entry[0] > 90]
    assert {truth for _, truth, _ in settled} <= {Truth.UNKNOWN, Truth.TRUE}
