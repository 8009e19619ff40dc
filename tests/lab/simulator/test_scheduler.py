from watchtower.lab.simulator.measurements import Measurements
from watchtower.lab.simulator.scheduler import EngineSequence, Finish, Scheduler


def scheduler(max_batch: int = 2) -> Scheduler:
    return Scheduler(max_batch=max_batch, kv_tokens=100, measurements=Measurements())


def sequence(id: str, *, tokens: int = 3, max_tokens: int = 100, arrived: float = 0.0) -> EngineSequence:
    return EngineSequence(id, 5, tuple(f"t{n}" for n in range(tokens)), max_tokens, arrived)


def test_one_step_gives_every_running_sequence_one_token() -> None:
    batch = scheduler()
    batch.add(sequence("a"))
    batch.add(sequence("b"))
    assert batch.begin() == 10
    assert [(e.id, e.piece, e.finish) for e in batch.finish(0.1)] == [("a", "t0", None), ("b", "t0", None)]
    assert batch.begin() == 0


def test_a_full_batch_lets_others_wait_in_their_order() -> None:
    batch = scheduler(max_batch=1)
    for id in "abc":
        batch.add(sequence(id, tokens=1))
    order = []
    while not batch.idle:
        batch.begin()
        order += [emission.id for emission in batch.finish(0.0)]
    assert order == ["a", "b", "c"]


def test_a_sequence_ends_with_its_last_token_or_at_its_limit() -> None:
    batch = scheduler()
    batch.add(sequence("said-all", tokens=2))
    batch.add(sequence("cut", tokens=9, max_tokens=2))
    batch.begin()
    batch.finish(0.1)
    assert [(e.id, e.finish) for e in batch.finish(0.2)] == [("said-all", Finish.STOP), ("cut", Finish.LENGTH)]
    assert batch.idle
    assert batch.measurements.finishes == {"stop": 1, "length": 1, "abort": 0, "error": 0}


def test_aborted_sequences_leave_at_once_and_the_others_stay() -> None:
    batch = scheduler(max_batch=1)
    batch.add(sequence("runs"))
    batch.add(sequence("waits"))
    batch.begin()
    assert [(e.id, e.piece, e.finish) for e in batch.abort({"runs", "never-seen"}, 1.0)] == [
        ("runs", None, Finish.ABORT)
    ]
    batch.begin()
    assert [e.id for e in batch.finish(1.1)] == ["waits"]
    assert [e.id for e in batch.abort(None, 1.2)] == ["waits"]
    assert batch.idle


def test_a_frozen_batch_keeps_everybody_and_steps_nobody() -> None:
    batch = scheduler()
    batch.add(sequence("a"))
    batch.frozen = True
    assert batch.idle and len(batch.waiting) == 1


def test_gaps_and_first_tokens_are_measured_per_sequence() -> None:
    batch = scheduler()
    batch.add(sequence("a", arrived=10.0))
    batch.begin()
    for now in (10.5, 10.6, 10.8):
        batch.finish(now)
    measured = batch.measurements
    assert (measured.time_to_first_token.count, round(measured.time_to_first_token.sum, 9)) == (1, 0.5)
    assert (measured.inter_token_latency.count, round(measured.inter_token_latency.sum, 9)) == (2, 0.3)
    assert (measured.generation_tokens, measured.prompt_tokens, measured.steps) == (3, 5, 3)


def test_gauges_follow_the_batch() -> None:
    batch = scheduler(max_batch=1)
    batch.add(sequence("a"))
    batch.add(sequence("b"))
    batch.begin()
    batch.finish(0.1)
    measured = batch.measurements
    assert (measured.running, measured.waiting, measured.kv_cache_ratio) == (1, 1, 0.06)
