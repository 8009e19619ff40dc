"""The engine is killed from outside: people hear of it, and the keeper is told to start another."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.stack import Stack

CURED_WITHIN = 30.0


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path)
    try:
        yield stack
    finally:
        stack.end()


def ask(stack: Stack) -> httpx.Response:
    body = {"model": "tiny", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}
    return stack.http.post(f"{stack.relay}/v1/chat/completions", json=body, timeout=60)


@pytest.mark.timeout(300)
def test_a_killed_engine_is_replaced_once_and_proven_while_requests_are_refused_politely_or_wait(stack: Stack) -> None:
    stack.start()
    time.sleep(7)  # the grace after our own start
    before = stack.status()["engine"]["incarnation"]
    assert ask(stack).status_code == 200

    os.kill(int(before["id"]), signal.SIGKILL)
    killed = time.monotonic()
    refused = ask(stack)
    assert refused.status_code == 502
    assert refused.json()["error"]["type"], "the error shape of OpenAI"

    stack.until(lambda: stack.status()["relay"]["hold"] == "holding", CURED_WITHIN, "requests wait")
    assert ask(stack).status_code == 200, "a request that waited is served by the next engine"

    def cured() -> bool:
        return any(action["state"] == "effective" for action in stack.api("actions")["actions"])

    stack.until(cured, CURED_WITHIN - (time.monotonic() - killed), "an effective cure")
    (action,) = stack.api("actions")["actions"]
    assert action["rule"] == "engine_gone"
    assert action["before"] == before
    assert action["after"] == stack.status()["engine"]["incarnation"] != before
    (incident,) = stack.api("incidents")["incidents"]
    assert incident["severity"] == "page"
    assert incident["title"] == "the engine is gone (signal SIGKILL)"
    stack.until(lambda: stack.status()["incident"] is None, 30, "resolved")


@pytest.mark.timeout(300)
def test_an_engine_that_never_came_up_is_told_to_people_with_the_reason(tmp_path: Path) -> None:
    stack = Stack(tmp_path, supervisor={"kind": "process", "command": ["/no/such/engine"]})
    try:
        stack.start(ready=False)
        stack.until(lambda: stack.api("incidents")["incidents"], 45, "an incident")
        (incident,) = stack.api("incidents")["incidents"]
        assert incident["severity"] == "page"
        assert "the engine is gone" in incident["title"]
    finally:
        stack.end()
