"""A part that stands still, the daemon or a relay worker: no stream is cut, and who is to blame is known."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.e2e.outside import Clients, runs
from tests.e2e.stack import Stack

STILL_SECONDS = 30.0
STREAMS = 64


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path, "--token-seconds", "0.2")
    try:
        stack.start()
        yield stack
    finally:
        stack.end()


def worker_of(stack: Stack, number: int = 0) -> int:
    """The pid that its lock names."""
    return int((stack.state / f"relay-{number}.lock").read_text())


def caused(stack: Stack, kind: str) -> float:
    """Client errors of this kind that the relay itself caused, by the metric."""
    line = f'watchtower_relay_caused_errors_total{{kind="{kind}"}} '
    metrics = stack.http.get(f"{stack.web}/metrics").text.splitlines()
    return next((float(found.removeprefix(line)) for found in metrics if found.startswith(line)), 0.0)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """By a signal, until the block ends."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def unreadable(stack: Stack) -> bool:
    """The rule on latency is not judged, and the relay is why."""
    rule = next(rule for rule in stack.status()["rules"] if rule["rule"] == "slow_tokens")
    return any((reason["kind"], reason["part"]) == ("unreadable", "relay") for reason in rule["reasons"])


@pytest.mark.timeout(300)
def test_a_daemon_that_stands_still_cuts_no_stream_and_blames_no_worker(stack: Stack) -> None:
    helpers = stack.helpers()
    assert stack.process is not None
    with Clients(stack.relay, "hello", count=STREAMS, tokens=200) as clients:
        stack.until(lambda: stack.status()["relay"]["open"] == STREAMS, 20, "streams are open")
        with stopped(stack.process.pid):
            time.sleep(STILL_SECONDS)
        stack.until(lambda: stack.status()["relay"]["open"] > 0, 20, "the streams are seen")
        answered = len(clients.answers)
        stack.until(lambda: len(clients.answers) >= answered + STREAMS, 60, "others follow them")
        assert clients.failed == []
    assert (stack.helpers(), stack.status()["relay"]["workers"]) == (helpers, 1)
    assert "relay worker is silent" not in stack.log.read_text()


@pytest.mark.timeout(300)
def test_a_worker_that_stands_still_loses_its_place_and_its_streams_go_on_when_it_comes_round(stack: Stack) -> None:
    worker = worker_of(stack)
    with Clients(stack.relay, "hello", count=8, tokens=100) as clients:
        stack.until(lambda: stack.status()["relay"]["open"] == 8, 20, "streams are open")
        with stopped(worker):
            stack.until(lambda: unreadable(stack), 6, "nothing is judged that is not seen")
            assert httpx.get(f"{stack.relay}/v1/models", timeout=60).status_code == 200, "a new client is served"
            stand_in = worker_of(stack, 1)
            assert runs(stand_in) and runs(worker)
        stack.until(lambda: not runs(worker), 40, "it leaves with its last stream")
        answered = len(clients.answers)
        stack.until(lambda: len(clients.answers) >= answered + 8, 40, "its successor serves")
        assert clients.failed == []
    assert stack.status()["relay"]["workers"] == 1
    assert (worker_of(stack, 1), caused(stack, "stuck")) == (stand_in, 0)


@pytest.mark.timeout(300)
def test_a_worker_that_never_comes_round_is_ended_and_what_that_cut_is_counted(stack: Stack) -> None:
    worker = worker_of(stack)
    with Clients(stack.relay, "hello", count=8, tokens=100) as clients:
        stack.until(lambda: stack.status()["relay"]["open"] == 8, 20, "streams are open")
        with stopped(worker):
            stack.until(lambda: not runs(worker), 75, "it is ended")
        stack.until(lambda: caused(stack, "stuck") == 8, 5, "what that cut is counted")
        answered = len(clients.answers)
        stack.until(lambda: len(clients.answers) >= answered + 8, 40, "its successor serves")
