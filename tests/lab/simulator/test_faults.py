import asyncio
import sys
from collections.abc import AsyncIterator

import httpx
import pytest

from watchtower.clock import SystemClock
from watchtower.lab.simulator.app import Identity, make_app
from watchtower.lab.simulator.faults import FaultNotProven, Proof, SimulatorFaults, WorkerFaults
from watchtower.lab.simulator.loop import EngineLoop, Model
from watchtower.lab.simulator.procfs import process, tree, workers
from watchtower.tasks import TaskGroup

CLOCK = SystemClock()
WORKER = "import time\nwhile True: time.sleep(0.01)"


@pytest.fixture
async def engine() -> AsyncIterator[tuple[EngineLoop, httpx.AsyncClient]]:
    loop = EngineLoop(Model(token_seconds=0.005), CLOCK)
    tasks = TaskGroup(CLOCK.sleep)
    tasks.start("engine", loop.run, restart_after=None)
    transport = httpx.ASGITransport(make_app(loop, CLOCK, Identity(1, "1", "b")))
    async with httpx.AsyncClient(transport=transport) as client:
        yield loop, client
    await tasks.stop()


@pytest.fixture
async def group() -> AsyncIterator[asyncio.subprocess.Process]:
    """A parent with two children that are titled as vLLM titles its workers."""
    parent = (
        "import subprocess, sys\n"
        f"children = [subprocess.Popen(['VLLM::Worker_TP%d' % n, '-c', {WORKER!r}], executable={sys.executable!r})"
        " for n in range(2)]\n"
        "print('up', flush=True)\n"
        "sys.stdin.read()\n"
        "[child.kill() for child in children]\n"
    )
    root = await asyncio.create_subprocess_exec(
        sys.executable, "-c", parent, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert root.stdin and root.stdout
    await root.stdout.readline()
    yield root
    root.stdin.close()
    await root.wait()


async def busy(loop: EngineLoop) -> None:
    for number in range(1000):
        async with loop.generate(f"b{number}", f"prompt {number}", None) as emissions:
            async for _ in emissions:
                pass


def state(pid: int) -> str:
    seen = process(pid)
    return seen.state if seen is not None else "gone"


def test_an_empty_proof_is_an_error() -> None:
    with pytest.raises(FaultNotProven):
        Proof(fault="slow", injected_at=1.0, seen_at=2.0, evidence={})
    with pytest.raises(FaultNotProven):
        Proof(fault="slow", injected_at=1.0, seen_at=2.0, evidence={"pid": 5, "state": ""})


async def test_an_imbalance_is_proven_by_a_gpu_that_stands_idle_beside_busy_ones(
    engine: tuple[EngineLoop, httpx.AsyncClient],
) -> None:
    loop, client = engine
    traffic = asyncio.ensure_future(busy(loop))
    proof = await SimulatorFaults("http://engine", CLOCK, client).imbalance()
    traffic.cancel()
    busy_by_rank = proof.evidence["busy_by_rank"]
    assert proof.evidence["gpu"] == "GPU-simulated-1"
    assert busy_by_rank[1] < min(busy_by_rank[0], *busy_by_rank[2:]) - 0.3


async def test_an_imbalance_without_traffic_is_not_proven(engine: tuple[EngineLoop, httpx.AsyncClient]) -> None:
    with pytest.raises(FaultNotProven, match="not seen within"):
        await SimulatorFaults("http://engine", CLOCK, engine[1], within_seconds=0.3).imbalance()


async def test_a_slow_simulator_is_proven_by_the_time_of_its_slow_rank(
    engine: tuple[EngineLoop, httpx.AsyncClient],
) -> None:
    loop, client = engine
    traffic = asyncio.ensure_future(busy(loop))
    proof = await SimulatorFaults("http://engine", CLOCK, client).slow()
    seconds = proof.evidence["step_seconds_by_rank"]
    assert seconds[2] > 5 * max(seconds[0], seconds[1], seconds[3])
    assert proof.injected_at <= proof.seen_at
    traffic.cancel()


async def test_a_hung_simulator_is_proven_by_steps_that_stand_while_requests_run(
    engine: tuple[EngineLoop, httpx.AsyncClient],
) -> None:
    loop, client = engine
    traffic = asyncio.ensure_future(busy(loop))
    faults = SimulatorFaults("http://engine", CLOCK, client)
    proof = await faults.hang()
    assert proof.evidence["for_seconds"] >= 1.0 and proof.evidence["requests_running"] == 1
    assert proof.evidence["health_status"] == 200
    await faults.clear()
    assert not loop.hung
    traffic.cancel()


async def test_a_fault_that_nobody_can_feel_is_not_proven(engine: tuple[EngineLoop, httpx.AsyncClient]) -> None:
    _, client = engine
    with pytest.raises(FaultNotProven, match="not seen"):
        await SimulatorFaults("http://engine", CLOCK, client, within_seconds=0.2).slow()


async def test_a_simulator_that_is_not_there_cannot_be_broken_and_has_nothing_to_clear() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody")

    async with httpx.AsyncClient(transport=httpx.MockTransport(refuse)) as client:
        faults = SimulatorFaults("http://engine", CLOCK, client)
        with pytest.raises(FaultNotProven, match="did not answer"):
            await faults.hang()
        await faults.clear()


async def test_workers_are_found_among_the_descendants_only(group: asyncio.subprocess.Process) -> None:
    assert [member.title.split()[0] for member in workers(group.pid)] == ["VLLM::Worker_TP0", "VLLM::Worker_TP1"]
    assert tree(group.pid)[0].pid == group.pid
    assert [member.pid for member in workers(workers(group.pid)[0].pid)] == [workers(group.pid)[0].pid]
    assert tree(2**22 + 1) == []


async def test_a_hung_worker_is_seen_stopped_and_runs_again_when_cleared(group: asyncio.subprocess.Process) -> None:
    faults = WorkerFaults(lambda: group.pid, CLOCK)
    proof = await faults.hang()
    pid = proof.evidence["pid"]
    assert proof.evidence["state"] == "T" and pid == workers(group.pid)[-1].pid
    await asyncio.sleep(0.2)
    assert state(pid) == "T"
    await faults.clear()
    assert state(pid) in "SRD"


async def test_a_slow_worker_is_stopped_most_of_the_time_and_never_for_good(group: asyncio.subprocess.Process) -> None:
    faults = WorkerFaults(lambda: group.pid, CLOCK, stop_seconds=0.03, run_seconds=0.02)
    proof = await faults.slow()
    states = set()
    for _ in range(200):
        states.add("T" if state(proof.evidence["pid"]) == "T" else "runs")
        await asyncio.sleep(0.002)
    assert states == {"T", "runs"} and proof.evidence["stopped_ratio"] == 0.6
    await faults.clear()
    assert state(proof.evidence["pid"]) in "SRD"


async def test_a_brake_ends_with_its_process_and_a_second_clear_does_nothing(
    group: asyncio.subprocess.Process,
) -> None:
    faults = WorkerFaults(lambda: group.pid, CLOCK)
    await faults.hang()
    assert group.stdin
    group.stdin.close()
    await group.wait()
    await faults.clear()
    await faults.clear()


async def test_a_tree_without_workers_cannot_be_broken() -> None:
    with pytest.raises(FaultNotProven, match="no VLLM::Worker"):
        await WorkerFaults(lambda: 2**22 + 1, CLOCK).hang()


async def test_a_brake_refuses_a_process_that_is_not_the_one_meant(group: asyncio.subprocess.Process) -> None:
    target = workers(group.pid)[0]
    brake = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "watchtower.lab.simulator.brake", str(target.pid), "1", stdin=asyncio.subprocess.PIPE
    )
    assert await brake.wait() == 1
    assert state(target.pid) in "SRD"
