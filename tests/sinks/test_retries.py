from __future__ import annotations

from watchtower.sinks.retries import Circuit, backoff_seconds


def test_backoff_doubles_from_five_seconds_to_an_hour() -> None:
    assert [backoff_seconds(n, 0.0) for n in (1, 2, 3, 10, 11, 500)] == [5, 10, 20, 2560, 3600, 3600]


def test_chance_adds_up_to_a_quarter_and_never_exceeds_the_hour() -> None:
    assert backoff_seconds(1, 0.999) < 6.25 < 7 < backoff_seconds(2, 0.0)
    assert backoff_seconds(11, 0.999) == 3600


def test_five_failures_in_a_row_rest_the_sink_and_one_probe_decides() -> None:
    circuit = Circuit()
    for _ in range(4):
        circuit.failed(100.0)
    assert not circuit.resting(100.0)
    circuit.failed(100.0)
    assert circuit.resting(129.9) and not circuit.resting(130.0)
    circuit.failed(130.0)
    assert circuit.resting(189.9) and not circuit.resting(190.0)
    circuit.succeeded()
    circuit.failed(190.0)
    assert not circuit.resting(190.0)


def test_a_rest_has_an_upper_bound() -> None:
    circuit = Circuit()
    for _ in range(100):
        circuit.failed(0.0)
    assert not circuit.resting(300.0)


def test_a_success_between_failures_starts_the_count_again() -> None:
    circuit = Circuit()
    for _ in range(20):
        circuit.failed(0.0)
        circuit.succeeded()
    assert not circuit.resting(0.0)
