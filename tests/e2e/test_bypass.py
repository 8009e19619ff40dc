"""Real processes: a bypass under open streams, with a daemon and without one, and what it does to the judgement."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from tests.e2e.outside import watchtower
from tests.e2e.stack import Stack, free_port
from tests.wire import Recorder, paired
from watchtower.taps.relay_plan import RelayPlan

pytestmark = pytest.mark.timeout(300)

STREAMS = 16
TOKENS = 400
BODY = json.dumps(
    {"model": "tiny", "stream": True, "max_tokens": TOKENS, "messages": [{"role": "user", "content": "hello"}]}
).encode()
ASK = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[int]:
    """A real HTTP server that streams; its port."""
    port = free_port()
    command = [sys.executable, "-m", "watchtower.programs.simulator", "--host", "127.0.0.1", "--port", str(port)]
    with (tmp_path / "engine.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        wait_for(f"http://127.0.0.1:{port}/health")
        yield port
        process.terminate()


def wait_for(url: str) -> None:
    transport = httpx.HTTPTransport(retries=10)
    for _ in range(60):
        try:
            with httpx.Client(transport=transport, timeout=2) as client:
                client.get(url)
                return
        except httpx.HTTPError:
            continue
    raise AssertionError(f"{url} never answered")


async def stream(port: int, begun: asyncio.Semaphore) -> bytes:
    """One whole answer, as it came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(ASK % (len(BODY), BODY))
    received, said = b"", False
    while not received.endswith(b"0\r\n\r\n"):
        data = await asyncio.wait_for(reader.read(65536), 60)
        assert data, f"cut after {received[-200:]!r}"
        received += data
        if not said and received.count(b"data:") >= 5:
            said = True
            begun.release()
    writer.close()
    return received


@pytest.fixture
async def far(engine: int) -> AsyncIterator[Recorder]:
    """Writes down what passes between relay and engine."""
    recorder = await Recorder("127.0.0.1", engine).start()
    yield recorder
    await recorder.stop()


@pytest.fixture
def relay(tmp_path: Path, far: Recorder) -> Iterator[int]:
    """A real relay worker that nobody owns; its port."""
    port = free_port()
    plan = RelayPlan(
        worker=0, listen=f"127.0.0.1:{port}", upstream=f"http://127.0.0.1:{far.port}", run_directory=str(tmp_path)
    )
    command = [sys.executable, "-m", "watchtower.programs.relay", msgspec.json.encode(plan).decode()]
    with (tmp_path / "relay.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        wait_for(f"http://127.0.0.1:{port}/-/serving")
        yield port
        process.terminate()


async def test_on_and_off_under_open_streams_without_a_daemon_cuts_none_and_changes_no_byte(
    tmp_path: Path, far: Recorder, relay: int
) -> None:
    near = await Recorder("127.0.0.1", relay).start()
    begun = asyncio.Semaphore(0)
    asked = [asyncio.create_task(stream(near.port, begun)) for _ in range(STREAMS)]
    for _ in range(STREAMS):
        await begun.acquire()
    state = ("--state-dir", str(tmp_path))
    said = await asyncio.to_thread(watchtower, "bypass", *state, "--reason", "is it us?")
    assert said.code == 0, said.err
    assert "no daemon answers" in said.out
    assert not any(answer.done() for answer in asked), "they are still under way"
    await asyncio.sleep(1.0)
    more = [asyncio.create_task(stream(near.port, begun)) for _ in range(4)]
    assert (await asyncio.to_thread(watchtower, "bypass", *state, "--off")).code == 0
    answers = await asyncio.gather(*asked, *more)
    assert [answer.count(b"data: [DONE]") for answer in answers] == [1] * (STREAMS + 4)
    assert len(paired(near, far)) == STREAMS + 4
    to_clients = sorted(bytes(connection.received) for connection in near.connections)
    assert to_clients == sorted(bytes(connection.received) for connection in far.connections)
    await near.stop()


def test_while_bypassed_nothing_is_green_it_is_journaled_and_outlives_the_daemon(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    state = ("--state-dir", str(stack.state))

    def kinds() -> set[str]:
        traffic = [r for r in stack.status()["readings"] if r["name"].startswith(("token_progress", "exchanges"))]
        return {str(reading["kind"]) for reading in traffic}

    try:
        stack.start()
        said = watchtower("bypass", *state, "--reason", "is it us?", "--json")
        done = json.loads(said.out)
        assert (said.code, done["daemon"], done["workers"], done["of"]) == (0, True, 1, 1)
        stack.until(lambda: kinds() == {"unreadable"}, 5, "nothing of the traffic is read")
        assert httpx.get(f"{stack.relay}/v1/models", timeout=10).status_code == 200
        assert httpx.post(f"{stack.relay}/sleep", timeout=10).status_code == 403, "the guard stays"
        said = watchtower("status", *state)
        assert "BYPASSED" in said.out.splitlines()[0]
        assert "nothing is wrong" not in said.out

        stack.kill()
        said = watchtower("status", *state)
        assert said.code == 4
        stack.start()
        assert stack.status()["relay"]["bypass"]["reason"] == "is it us?"
        assert watchtower("bypass", *state, "--reason", "again").code != 0

        said = watchtower("bypass", *state, "--off")
        assert said.out.strip() == "1 of 1 relay workers: reads again"
        assert stack.status()["relay"]["bypass"] is None
        log = stack.log.read_text()
        assert log.count("relay.bypassed") == 1, "journaled once, and not again by the next daemon"
        assert log.count("relay.bypass_ended") == 1
        metrics = stack.http.get(f"{stack.web}/metrics").text
        assert "watchtower_relay_bypassed 0.0" in metrics
    finally:
        stack.end()
