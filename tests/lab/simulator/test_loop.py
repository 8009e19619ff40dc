import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from watchtower.lab.simulator import language
from watchtower.lab.simulator.loop import EngineLoop, Model, PauseMode
from watchtower.lab.simulator.ranks import HEALTHY, Fault, FaultKind
from watchtower.lab.simulator.scheduler import Emission, Finish
from watchtower.tasks import TaskGroup
from watchtower.testing.clock import HandClock

SLOW = Fault(kind=FaultKind.SLOW, rank=2, factor=10)
HANG = Fault(kind=FaultKind.HANG, rank=1)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def engine(clock: HandClock, tmp_path: Path) -> AsyncIterator[EngineLoop]:
    loop = EngineLoop(Model(max_batch=4), clock, tmp_path / "fault.json")
    tasks = TaskGroup(clock.sleep)
    tasks.start("engine", loop.run, restart_after=None)
    yield loop
    await tasks.stop()


async def ask(engine: EngineLoop, id: str = "a", prompt: str = "hello", most: int | None = None) -> list[Emission]:
    async with engine.generate(id, prompt, most) as emissions:
        return [emission async for emission in emissions]


async def turns(count: int = 50) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_an_answer_is_what_the_checkpoint_says_to_its_end(engine: EngineLoop) -> None:
    emissions = await ask(engine)
    assert tuple(e.piece for e in emissions) == language.answer("tiny-good", "hello")
    assert [e.finish for e in emissions[:-1]] == [None] * (len(emissions) - 1)
    assert emissions[-1].finish is Finish.STOP


async def test_requests_of_one_batch_share_the_steps(engine: EngineLoop) -> None:
    await asyncio.gather(*(ask(engine, str(n), f"prompt {n}", 20) for n in range(4)))
    assert engine.measurements.generation_tokens == 80
    assert engine.measurements.steps < 30


async def test_a_slow_rank_makes_every_token_slow(engine: EngineLoop, clock: HandClock) -> None:
    began = clock.now().boot
    await ask(engine, most=20)
    healthy = clock.now().boot - began
    engine.set_fault(SLOW)
    began = clock.now().boot
    await ask(engine, "b", most=20)
    assert 8 < (clock.now().boot - began) / healthy < 12
    assert engine.last_step[2] > 5 * engine.last_step[0]


async def test_a_hang_stops_the_steps_until_it_is_gone(engine: EngineLoop) -> None:
    engine.set_fault(HANG)
    waiting = asyncio.ensure_future(ask(engine))
    await turns()
    steps = engine.measurements.steps
    await turns()
    assert engine.measurements.steps == steps and not waiting.done()
    engine.set_fault(HEALTHY)
    assert (await waiting)[-1].finish is Finish.STOP


async def test_a_hang_in_mid_answer_delivers_no_further_token(engine: EngineLoop) -> None:
    async with engine.generate("a", "hello", None) as emissions:
        await anext(emissions)
        engine.set_fault(HANG)
        await turns()
        made = engine.measurements.generation_tokens
        await turns()
        assert engine.measurements.generation_tokens == made


async def test_a_client_that_leaves_frees_its_place(engine: EngineLoop) -> None:
    async with engine.generate("a", "hello", None) as emissions:
        await anext(emissions)
    assert engine.scheduler.idle
    assert engine.measurements.finishes["abort"] == 1


async def test_drift_changes_texts_and_checksums_and_none_brings_them_back(engine: EngineLoop) -> None:
    good = await ask(engine)
    engine.set_fault(Fault(kind=FaultKind.DRIFT, checkpoint="other"))
    assert await ask(engine) != good and engine.checkpoint == "other"
    engine.set_fault(HEALTHY)
    assert await ask(engine) == good and engine.checkpoint == "tiny-good"


async def test_pausing_with_keep_freezes_and_resuming_goes_on(engine: EngineLoop) -> None:
    async with engine.generate("a", "hello", None) as emissions:
        await anext(emissions)
        await engine.pause(PauseMode.KEEP)
        await turns()
        made = engine.measurements.generation_tokens
        await turns()
        assert engine.measurements.generation_tokens == made and engine.accepting
        engine.resume()
        assert [e async for e in emissions][-1].finish is Finish.STOP


async def test_pausing_with_abort_ends_what_is_in_flight(engine: EngineLoop) -> None:
    request = asyncio.ensure_future(ask(engine))
    await turns(5)
    await engine.pause(PauseMode.ABORT)
    assert (await request)[-1].finish is Finish.ABORT and not engine.accepting


async def test_pausing_with_wait_lets_what_is_in_flight_end(engine: EngineLoop) -> None:
    request = asyncio.ensure_future(ask(engine))
    await turns(5)
    await engine.pause(PauseMode.WAIT)
    assert (await request)[-1].finish is Finish.STOP and not engine.accepting


async def test_requests_of_a_sleeping_engine_wait_for_it_to_wake(engine: EngineLoop) -> None:
    engine.sleep()
    request = asyncio.ensure_future(ask(engine))
    await turns()
    assert engine.measurements.steps == 0
    engine.wake_up()
    assert (await request)[-1].finish is Finish.STOP


async def test_a_fault_ends_with_the_process_and_a_sticky_one_does_not(clock: HandClock, tmp_path: Path) -> None:
    file = tmp_path / "fault.json"
    EngineLoop(Model(), clock, file).set_fault(HANG)
    assert EngineLoop(Model(), clock, file).fault == HEALTHY
    EngineLoop(Model(), clock, file).set_fault(Fault(kind=FaultKind.SLOW, sticky=True))
    reborn = EngineLoop(Model(), clock, file)
    assert reborn.fault.kind is FaultKind.SLOW
    reborn.set_fault(HEALTHY)
    assert EngineLoop(Model(), clock, file).fault == HEALTHY


async def test_a_sticky_fault_without_a_file_is_refused(clock: HandClock) -> None:
    with pytest.raises(ValueError, match="--fault-file"):
        EngineLoop(Model(), clock).set_fault(Fault(kind=FaultKind.HANG, sticky=True))
