"""``watchtower sinks``: whether what is configured arrives, before it has to."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.sinks.receiver import Receiver, receiving, status
from watchtower.programs.sinks import list_, send_test
from watchtower.vocabulary.errors import BadInput, ExitCode

ACCEPTED = b'HTTP/1.1 202 Accepted\r\nContent-Length: 20\r\n\r\n{"status":"success"}'


def configured(directory: Path, *ports: int) -> Path:
    file = directory / "watchtower.yaml"
    pagerduty, slack = ports
    file.write_text(
        "version: 1\ntarget: chat-7b\nsinks:\n  - kind: log\n"
        f"  - {{kind: pagerduty, routing_key: T0P-S3CRET, url: 'http://127.0.0.1:{pagerduty}/'}}\n"
        f"  - {{kind: slack, name: team, url: 'http://127.0.0.1:{slack}/T0P-S3CRET', templates: {{text: x}}}}\n"
    )
    return file


async def ran_test(file: Path, name: str) -> tuple[ExitCode, dict[str, Any]]:
    out = io.StringIO()
    code = await asyncio.to_thread(send_test, file, {}, name, as_json=True, out=Console(file=out))
    assert "T0P-S3CRET" not in out.getvalue()
    return code, json.loads(out.getvalue())


def bodies(receiver: Receiver) -> list[dict[str, Any]]:
    return [json.loads(request.body) for request in receiver.requests]


async def test_a_test_says_that_it_is_one_and_ends_where_alerts_stay_open(tmp_path: Path) -> None:
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    async with receiving(ACCEPTED) as pagerduty, receiving(ok) as slack:
        code, said = await ran_test(configured(tmp_path, pagerduty.port, slack.port), "")
    assert (code, said["ok"]) == (ExitCode.OK, True)
    began, ended = bodies(pagerduty)
    assert (began["event_action"], ended["event_action"]) == ("trigger", "resolve")
    assert began["dedup_key"] == ended["dedup_key"]
    assert began["payload"]["severity"] == "info"
    (message,) = bodies(slack)
    assert message["text"].startswith("*TEST · chat-7b: this is a test of the alerts, nothing is wrong")


async def test_a_receiver_that_does_not_take_it_is_named_with_its_answer(tmp_path: Path) -> None:
    async with receiving(ACCEPTED) as pagerduty, receiving(status(403)) as slack:
        code, said = await ran_test(configured(tmp_path, pagerduty.port, slack.port), "team")
    assert code is ExitCode.PROBLEM_FOUND
    assert said["sinks"] == [{"sink": "team", "kind": "slack", "delivered": False, "answer": "HTTP 403"}]
    assert pagerduty.requests == []


def test_an_unknown_sink_is_a_mistake_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no sink is named 'taem' · did you mean team"):
        send_test(configured(tmp_path, 1, 2), {}, "taem")


def test_the_list_names_every_sink_and_no_secret(tmp_path: Path) -> None:
    out = io.StringIO()
    assert list_(configured(tmp_path, 1, 2), {}, out=Console(file=out)) is ExitCode.OK
    assert [line.split()[:2] for line in out.getvalue().splitlines()] == [
        ["log", "log"],
        ["pagerduty", "pagerduty"],
        ["team", "slack"],
    ]
    assert "T0P-S3CRET" not in out.getvalue()
