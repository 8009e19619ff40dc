"""The daemon finds, starts, watches and directs real relay workers, and may die without anybody noticing."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from tests.waiting import until
from watchtower.children.policy.patience import Patience
from watchtower.clock import SystemClock
from watchtower.services.relaying import watched_worker, worker_plans
from watchtower.services.relaying.relay_pool import RelayPool
from watchtower.settings import RelaySettings
from watchtower.taps.framing import frame
from watchtower.taps.handover import RETIRE, WorkerLock, holder
from watchtower.taps.relay_plan import PROTOCOL, RelayPlan
from watchtower.vocabulary.errors import BadInput
from watchtower.vocabulary.facts import (
    HoldOrder,
    HoldState,
    RelayEnded,
    RelayFrame,
    RelayGone,
    RelayHello,
    ReleaseOrder,
)

Fact = RelayHello | RelayFrame | RelayGone | RelayEnded
DRAIN_SECONDS = 0.2
TOKEN = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
POST = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"


def status_of(pid: int) -> dict[str, str]:
    """/proc/<pid>/status; empty when there is no such process."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def lives(pid: int) -> bool:
    return not status_of(pid).get("State", "Z").startswith("Z")


def resident_kilobytes(pid: int) -> int:
    return int(status_of(pid)["VmRSS"].split()[0])


class Daemon:
    def __init__(self, settings: RelaySettings, upstream: str, directory: Path) -> None:
        self.facts: list[Fact] = []
        told, clock = self.facts.append, SystemClock()
        self.relays = RelayPool(settings, upstream, directory, told, clock, drain_seconds=DRAIN_SECONDS)

    @property
    def hellos(self) -> list[RelayHello]:
        return [fact for fact in self.facts if isinstance(fact, RelayHello)]

    @property
    def frames(self) -> list[RelayFrame]:
        return [fact for fact in self.facts if isinstance(fact, RelayFrame)]

    async def ready(self, workers: int = 1) -> Daemon:
        await self.relays.start()
        await until(lambda: len({hello.worker for hello in self.hellos}) == workers and bool(self.frames))
        return self

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = self.relays.address.split(":")
        return await asyncio.open_connection(host, int(port))


Begin = Callable[..., Daemon]
SILENT_SECONDS = 2.5
"""More than the second between two frames."""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched_worker, "PATIENCE", Patience(start_seconds=30.0, silent_seconds=SILENT_SECONDS))


@pytest_asyncio.fixture
async def engine() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """Streams one token, then the rest once the event is set."""
    go = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            writer.write(b"%x\r\n%s\r\n" % (len(TOKEN), TOKEN))
            await go.wait()
            writer.write(b"%x\r\n%s\r\n" % (len(TOKEN), TOKEN))
            writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
            await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", go
    go.set()
    server.close()


@pytest_asyncio.fixture
async def begin(tmp_path: Path, engine: tuple[str, asyncio.Event]) -> AsyncIterator[Begin]:
    daemons: list[Daemon] = []

    def make(upstream: str = engine[0], **knobs: Any) -> Daemon:
        settings = RelaySettings(**{"listen": "127.0.0.1:0", **knobs})
        daemons.append(Daemon(settings, upstream, tmp_path / "run"))
        return daemons[-1]

    yield make
    for daemon in daemons[:-1]:
        await daemon.relays.stop(leave_running=True)
    if daemons:
        await daemons[-1].relays.stop(leave_running=False)


async def test_workers_start_say_hello_and_report_once_a_second(begin: Begin) -> None:
    daemon = await begin(workers=2).ready(workers=2)
    await until(lambda: all(sum(f.worker == n for f in daemon.frames) >= 2 for n in (0, 1)), seconds=4)

    assert daemon.hellos[0].listening == daemon.relays.address
    of_first = [frame for frame in daemon.frames if frame.worker == 0]
    assert [frame.sequence for frame in of_first] == list(range(1, len(of_first) + 1))
    assert of_first[0].hold is HoldState.OPEN


async def test_an_exchange_is_reported_from_head_to_end(begin: Begin, engine: tuple[str, asyncio.Event]) -> None:
    daemon = await begin().ready()
    reader, writer = await daemon.connect()
    writer.write(POST)
    await reader.readuntil(TOKEN)
    await until(lambda: daemon.frames[-1].open_exchanges == 1)
    engine[1].set()
    await reader.readuntil(b"0\r\n\r\n")
    await until(lambda: any(news.closed for frame in daemon.frames for news in frame.news))
    writer.close()

    news = [news for frame in daemon.frames for news in frame.news]
    assert {item.id for item in news} == {f"0.{daemon.hellos[0].pid}-1"}
    assert sum(item.first_tokens + sum(item.tokens) for item in news) == 2
    assert daemon.frames[-1].counters["generations"] == 1


async def test_streams_survive_the_daemon_and_the_next_daemon_learns_of_them(
    begin: Begin, engine: tuple[str, asyncio.Event]
) -> None:
    first = await begin().ready()
    reader, writer = await first.connect()
    writer.write(POST)
    await reader.readuntil(TOKEN)
    await until(lambda: any(news.first_tokens for frame in first.frames for news in frame.news))
    await first.relays.stop(leave_running=True)
    second = await begin().ready()
    assert second.hellos[0].pid == first.hellos[0].pid, "the worker was adopted, not replaced"
    assert second.relays.address == first.relays.address
    told = second.frames[0].news[0]
    engine[1].set()

    assert (await reader.readuntil(b"0\r\n\r\n")).endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    writer.close()
    assert told.opened is not None
    assert told.first_token_at is not None
    assert told.first_tokens == 0, "tokens that the daemon before was told of are not counted twice"


async def test_a_changed_plan_replaces_the_worker_on_the_same_socket(begin: Begin) -> None:
    first = await begin().ready()
    await first.relays.stop(leave_running=True)
    second = await begin(tag_header="x-team").ready()

    assert second.hellos[0].pid != first.hellos[0].pid
    assert second.relays.address == first.relays.address
    await until(lambda: not lives(first.hellos[0].pid))


async def test_another_protocol_replaces_the_worker_and_cuts_no_stream_however_long(
    begin: Begin, engine: tuple[str, asyncio.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await begin().ready()
    reader, writer = await first.connect()
    writer.write(POST)
    await reader.readuntil(TOKEN)
    await first.relays.stop(leave_running=True)
    monkeypatch.setattr(worker_plans, "PROTOCOL", PROTOCOL + 1)
    second = await begin().ready()
    await until(lambda: any(hello.pid != first.hellos[0].pid for hello in second.hellos))
    await asyncio.sleep(2 * DRAIN_SECONDS)
    assert lives(first.hellos[0].pid), "its stream is open"
    assert second.relays.address == first.relays.address
    engine[1].set()

    assert (await reader.readuntil(b"0\r\n\r\n")).endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    await until(lambda: not lives(first.hellos[0].pid))
    writer.close()


async def test_a_retired_worker_that_is_told_to_go_ends_its_streams_within_the_time_to_drain(
    begin: Begin, tmp_path: Path
) -> None:
    first = await begin().ready()
    reader, writer = await first.connect()
    writer.write(POST)
    await reader.readuntil(TOKEN)
    pid = first.hellos[0].pid
    os.kill(pid, RETIRE)
    await until(lambda: holder(tmp_path / "run" / "relay-0.lock") is None)
    assert lives(pid)
    os.kill(pid, signal.SIGTERM)
    await until(lambda: not lives(pid))
    writer.close()


async def test_what_only_a_newer_worker_says_is_skipped_and_counted(begin: Begin, tmp_path: Path) -> None:
    daemon = await begin().ready()
    lock = WorkerLock(tmp_path / "run" / "relay-7.lock")
    assert lock.take(os.getpid())
    _reader, writer = await asyncio.open_unix_connection(tmp_path / "run" / "facts.sock")
    unknown = msgspec.msgpack.encode({"fact": "relay_weather", "at": 1.0})
    hello = msgspec.structs.replace(daemon.hellos[0], worker=7, pid=os.getpid(), version="9")
    writer.write(len(unknown).to_bytes(4, "big") + unknown + frame(hello))
    await until(lambda: any(known.worker == 7 for known in daemon.hellos))

    assert daemon.relays.skipped == {"relay_weather": 1}
    writer.close()
    lock.give_up()


async def test_a_killed_worker_is_replaced_and_its_end_is_a_fact(begin: Begin) -> None:
    daemon = await begin().ready()
    pid = daemon.hellos[0].pid
    with capture_logs() as logs:
        os.kill(pid, signal.SIGKILL)
        await until(lambda: len(daemon.hellos) == 2)

    died = [entry for entry in logs if entry["event"] == "relay worker died"]
    assert [(entry["worker"], entry["exit_status"]) for entry in died] == [(0, -signal.SIGKILL)]
    gone = [fact for fact in daemon.facts if isinstance(fact, RelayGone)]
    assert [fact.pid for fact in gone] == [pid]
    assert daemon.hellos[1].pid != pid
    assert daemon.hellos[1].listening == daemon.relays.address


async def test_a_silent_worker_loses_its_place_and_keeps_its_streams(
    begin: Begin, engine: tuple[str, asyncio.Event], impatient: None
) -> None:
    daemon = await begin().ready()
    reader, writer = await daemon.connect()
    writer.write(POST)
    await reader.readuntil(TOKEN)
    stopped = daemon.hellos[0].pid
    os.kill(stopped, signal.SIGSTOP)
    await until(lambda: len(daemon.hellos) == 2)
    assert (daemon.hellos[1].worker, daemon.hellos[1].listening) == (1, daemon.relays.address)
    reader2, writer2 = await daemon.connect()
    writer2.write(POST)
    await reader2.readuntil(TOKEN)
    engine[1].set()
    assert (await reader2.readuntil(b"0\r\n\r\n")).endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")

    os.kill(stopped, signal.SIGCONT)
    assert (await reader.readuntil(b"0\r\n\r\n")).endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    writer.close()
    writer2.close()
    await until(lambda: not lives(stopped))
    assert len(daemon.hellos) == 2, "one stand-in, for good"
    assert not any(isinstance(fact, RelayEnded) for fact in daemon.facts)


async def test_a_silent_worker_that_stands_still_for_too_long_is_ended_and_that_is_a_fact(
    begin: Begin, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched_worker, "STILL_SECONDS", 3.0)
    daemon = await begin().ready()
    stopped = daemon.hellos[0].pid
    os.kill(stopped, signal.SIGSTOP)
    await until(lambda: any(isinstance(fact, RelayEnded) for fact in daemon.facts))
    await until(lambda: not lives(stopped) and any(isinstance(fact, RelayGone) for fact in daemon.facts))
    ended = [(fact.worker, fact.pid) for fact in daemon.facts if isinstance(fact, RelayEnded)]
    assert ended == [(0, stopped)]
    await until(lambda: [hello.worker for hello in daemon.hellos] == [0, 1])


async def test_after_two_deaths_while_reading_the_next_worker_only_forwards_and_the_next_daemon_tries_again(
    begin: Begin, engine: tuple[str, asyncio.Event]
) -> None:
    daemon = await begin().ready()
    for count in (1, 2):
        os.kill(daemon.hellos[-1].pid, signal.SIGKILL)
        await until(lambda count=count: len(daemon.hellos) == count + 1)  # type: ignore[misc]
    last = daemon.hellos[-1].pid
    await until(lambda: daemon.frames[-1].pid == last)
    bypassed = daemon.frames[-1].bypassed
    assert bypassed is not None and bypassed.by_itself
    engine[1].set()
    reader, writer = await daemon.connect()
    writer.write(POST)
    assert (await reader.readuntil(b"0\r\n\r\n")).endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n"), "clients are served"
    writer.close()

    await daemon.relays.stop(leave_running=True)
    again = await begin().ready()
    await until(lambda: again.hellos[-1].pid != last and again.frames[-1].pid == again.hellos[-1].pid)
    assert again.frames[-1].bypassed is None


async def test_a_daemon_that_stood_still_blames_no_worker(begin: Begin, impatient: None) -> None:
    daemon = await begin(workers=2).ready(workers=2)
    time.sleep(2 * SILENT_SECONDS)  # noqa: ASYNC251  (the daemon's loop is this one)
    seen = len(daemon.frames)
    await until(lambda: len(daemon.frames) > seen + 4)
    assert len(daemon.hellos) == 2


async def test_a_daemon_that_finds_only_a_stopped_worker_ends_it_and_serves(
    begin: Begin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It holds the listening socket, so that nobody else can be had meanwhile."""
    first = await begin().ready()
    stopped, address = first.hellos[0].pid, first.relays.address
    await first.relays.stop(leave_running=True)
    os.kill(stopped, signal.SIGSTOP)
    monkeypatch.setattr(watched_worker, "STILL_SECONDS", 2.0)
    second = await begin(listen=address).ready()
    assert second.relays.address == address
    assert not lives(stopped)


async def test_a_worker_of_another_state_directory_is_refused(begin: Begin, tmp_path: Path) -> None:
    """Somebody pointed it at our socket."""
    daemon = await begin().ready()
    plan = RelayPlan(
        worker=0,
        listen="127.0.0.1:0",
        upstream=daemon.hellos[0].upstream,
        run_directory=str(tmp_path),
        facts=str(tmp_path / "run" / "facts.sock"),
    )
    program = [sys.executable, "-m", "watchtower.programs.relay", msgspec.json.encode(plan).decode()]
    stray = subprocess.Popen(program)  # noqa: ASYNC220
    try:
        await until(lambda: daemon.relays.refused == 1, seconds=30.0)
    finally:
        stray.kill()
        stray.wait()
    assert {hello.pid for hello in daemon.hellos} == {daemon.hellos[0].pid}


async def test_every_worker_acknowledges_a_hold_also_one_that_comes_later(begin: Begin) -> None:
    daemon = await begin(workers=2).ready(workers=2)
    order = HoldOrder(op_id="op-7", seconds=20, wait_seconds=5, max_parked=5, max_bytes=10_000)
    daemon.relays.order(order)
    await until(lambda: {f.worker for f in daemon.frames if f.hold_op == "op-7"} == {0, 1})
    os.kill(daemon.hellos[0].pid, signal.SIGKILL)
    await until(lambda: len(daemon.hellos) == 3)
    newcomer = daemon.hellos[2].pid
    await until(lambda: any(f.pid == newcomer and f.hold_op == "op-7" for f in daemon.frames))
    daemon.relays.order(ReleaseOrder(op_id="op-7"))
    await until(lambda: daemon.frames[-1].hold is HoldState.OPEN)


async def test_workers_leave_when_they_are_asked_to(begin: Begin, tmp_path: Path) -> None:
    daemon = await begin().ready()
    pid, address = daemon.hellos[0].pid, daemon.relays.address
    await daemon.relays.stop(leave_running=False)

    assert not lives(pid)
    host, port = address.split(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))
    assert list((tmp_path / "run").glob("*.handover")) == []


async def test_workers_ignore_the_terminal(begin: Begin) -> None:
    daemon = await begin().ready()
    pid = daemon.hellos[0].pid
    assert os.getsid(pid) == pid
    os.kill(pid, signal.SIGINT)
    os.kill(pid, signal.SIGHUP)
    before = len(daemon.frames)
    await until(lambda: len(daemon.frames) > before + 1, seconds=4)


async def test_a_worker_stays_small(begin: Begin) -> None:
    daemon = await begin().ready()

    assert resident_kilobytes(daemon.hellos[0].pid) <= 40_000


async def test_a_taken_address_is_said_with_its_cure(begin: Begin) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        daemon = begin(listen=f"127.0.0.1:{other.getsockname()[1]}")
        with pytest.raises(BadInput, match=r"relay\.listen · cannot listen on .*: address already in use · stop"):
            await daemon.relays.start()


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"listen": "8100"}, r"relay\.listen · '8100' is not host:port"),
        ({"listen": "127.0.0.1:99999"}, r"relay\.listen"),
        ({"listen": "192.0.2.1:8100"}, r"relay\.listen · cannot listen on 192\.0\.2\.1:8100"),
        ({"upstream": "https://engine"}, r"engine\.url · the relay forwards to http://host:port or unix:/path only"),
        ({"upstream": "http://engine:x"}, r"engine\.url"),
        ({"upstream": "unix:relative"}, r"engine\.url"),
    ],
)
async def test_an_address_that_cannot_be_used_is_said_with_its_cure(
    begin: Begin, knobs: dict[str, str], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        await begin(**knobs).relays.start()


async def test_a_run_directory_too_deep_for_a_socket_is_said_with_its_cure(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    daemon = Daemon(RelaySettings(listen="127.0.0.1:0"), "http://127.0.0.1:1", deep)
    with pytest.raises(BadInput, match=r"state_directory · the Unix socket path .* · choose a shorter directory"):
        await daemon.relays.start()
