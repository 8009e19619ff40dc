import pytest

from watchtower.lab.simulator.ranks import HEALTHY, JITTER, Fault, FaultKind, step_seconds


def step(number: int = 0, *, batch: int = 1, prefill: int = 0, fault: Fault = HEALTHY) -> tuple[float, ...] | None:
    return step_seconds(
        seed=0, step=number, ranks=4, token_seconds=0.02, batch=batch, prefill_tokens=prefill, fault=fault
    )


def test_healthy_ranks_differ_by_their_jitter_and_no_more() -> None:
    for number in range(200):
        seconds = step(number)
        assert seconds is not None and len(set(seconds)) == 4
        assert all(0.02 <= rank <= 0.02 * (1 + JITTER) for rank in seconds)


def test_a_slow_rank_is_slow_by_its_factor_and_the_others_are_not() -> None:
    healthy, sick = step(5), step(5, fault=Fault(kind=FaultKind.SLOW, rank=2, factor=10))
    assert healthy is not None and sick is not None
    assert sick[2] == pytest.approx(10 * healthy[2])
    assert (sick[0], sick[1], sick[3]) == (healthy[0], healthy[1], healthy[3])


def test_a_hung_rank_ends_no_step() -> None:
    assert step(fault=Fault(kind=FaultKind.HANG, rank=1)) is None


def test_drift_does_not_change_the_speed() -> None:
    assert step(fault=Fault(kind=FaultKind.DRIFT, checkpoint="other")) == step()


def test_steps_grow_gently_with_the_batch_and_with_the_prompts_that_join() -> None:
    alone, full, joining = step(), step(batch=32), step(prefill=100)
    assert alone is not None and full is not None and joining is not None
    assert 1.05 < full[0] / alone[0] < 1.3
    assert joining[0] > alone[0] + 0.019


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        (Fault(kind=FaultKind.SLOW, rank=4), "rank 4 does not exist"),
        (Fault(kind=FaultKind.HANG, rank=-1), "rank -1 does not exist"),
        (Fault(kind=FaultKind.SLOW, factor=1.0), "factor 1.0"),
        (Fault(kind=FaultKind.DRIFT), "needs a checkpoint"),
    ],
)
def test_a_fault_without_effect_is_a_mistake(fault: Fault, what: str) -> None:
    assert what in fault.problem(4)


def test_a_sound_fault_has_no_problem() -> None:
    assert Fault(kind=FaultKind.SLOW, rank=3, factor=2).problem(4) == ""
