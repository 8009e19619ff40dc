"""One alert per incident, told again until it is resolved."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from tests.sinks.receiver import Receiver, receiving, status
from tests.sinks.samples import ESCALATED, HELD, MODE, OPENED, RESOLVED, sink_settings
from watchtower.sinks.alertmanager import AlertmanagerSink
from watchtower.testing.clock import HandClock

EMPTY = status(200)


def sink_to(clock: HandClock, *ports: int, **more: Any) -> AlertmanagerSink:
    urls = tuple(f"http://127.0.0.1:{port}" for port in ports)
    return AlertmanagerSink(sink_settings("alertmanager", urls=urls, **more), clock)


def alerts(receiver: Receiver) -> list[list[dict[str, Any]]]:
    return [json.loads(request.body) for request in receiver.requests]


async def test_an_alert_begins_with_the_incident_and_lives_longer_than_until_the_next_reminder() -> None:
    clock = HandClock(wall=OPENED.wall)
    async with receiving(EMPTY) as receiver:
        sink = sink_to(clock, receiver.port, labels={"team": "inference"})
        await sink.send(OPENED, 1)
        await sink.close()
    ((alert,),) = alerts(receiver)
    assert receiver.requests[0].line == "POST /api/v2/alerts HTTP/1.1"
    assert alert["labels"] == {
        "alertname": "WatchtowerIncident",
        "incident": "inc-6349d2",
        "severity": "critical",
        "target": "chat-7b",
        "team": "inference",
    }
    assert (alert["startsAt"], alert["endsAt"]) == ("2026-01-01T00:00:12.000Z", "2026-01-01T00:06:12.000Z")
    assert alert["annotations"]["next_command"] == "watchtower explain inc-6349d2"


async def test_news_change_annotations_and_never_labels() -> None:
    async with receiving(EMPTY) as receiver:
        sink = sink_to(HandClock(wall=OPENED.wall), receiver.port)
        for notice in (OPENED, HELD, ESCALATED, RESOLVED):
            await sink.send(notice, 1)
        await sink.close()
    assert [len(told) for told in alerts(receiver)] == [1, 1, 1, 1]
    assert len({json.dumps(told[0]["labels"]) for told in alerts(receiver)}) == 1
    assert alerts(receiver)[-1][0]["endsAt"] == "2026-01-01T00:16:12.000Z"


async def test_a_severity_that_rises_ends_the_old_alert_in_the_same_request() -> None:
    mild = msgspec.structs.replace(OPENED, severity="warn")
    async with receiving(EMPTY) as receiver:
        sink = sink_to(HandClock(wall=OPENED.wall), receiver.port)
        await sink.send(mild, 1)
        await sink.send(ESCALATED, 1)
        await sink.send(msgspec.structs.replace(RESOLVED, severity="warn"), 1)
        await sink.close()
    _, (old, new), (ended,) = alerts(receiver)
    assert (old["labels"]["severity"], old["endsAt"]) == ("warning", "2026-01-01T00:11:12.000Z")
    assert new["labels"]["severity"] == ended["labels"]["severity"] == "critical"


async def test_what_stands_is_told_again_and_what_ended_for_five_minutes_more() -> None:
    clock = HandClock(wall=OPENED.wall)
    async with receiving(EMPTY) as receiver:
        sink = sink_to(clock, receiver.port)
        await sink.send(OPENED, 1)
        clock.advance(60)
        await sink.resend()
        assert alerts(receiver)[-1][0]["endsAt"] == "2026-01-01T00:07:12.000Z"
        clock.advance(RESOLVED.wall - clock.now().wall)
        await sink.send(RESOLVED, 1)
        clock.advance(299)
        await sink.resend()
        assert alerts(receiver)[-1][0]["endsAt"] == "2026-01-01T00:16:12.000Z"
        clock.advance(2)
        count = len(receiver.requests)
        assert (await sink.resend()).delivered
        assert len(receiver.requests) == count
        await sink.close()


async def test_after_a_restart_what_was_told_is_remembered() -> None:
    async with receiving(EMPTY) as receiver:
        sink = sink_to(HandClock(wall=HELD.wall), receiver.port)
        old = [
            msgspec.structs.replace(notice, incident="inc-old", wall=notice.wall - 9e4) for notice in (OPENED, RESOLVED)
        ]
        sink.recall([*old, OPENED, MODE, HELD])
        await sink.resend()
        await sink.close()
    ((alert,),) = alerts(receiver)
    assert (alert["labels"]["incident"], alert["startsAt"]) == ("inc-6349d2", "2026-01-01T00:00:12.000Z")


async def test_one_replica_that_has_it_is_enough_and_none_is_a_failure() -> None:
    async with receiving(status(500)) as sick, receiving(EMPTY) as well:
        both = sink_to(HandClock(), sick.port, well.port)
        assert (await both.send(OPENED, 1)).delivered
        assert len(sick.requests) == len(well.requests) == 1
        await both.close()
        alone = sink_to(HandClock(), sick.port)
        assert (await alone.send(OPENED, 1)).because == "HTTP 500"
        count = len(sick.requests)
        await alone.resend()
        assert len(sick.requests) == count, "what was never taken stands nowhere yet"
        await alone.close()
