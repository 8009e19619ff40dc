"""What can be looked at."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.web.house import House
from watchtower.vocabulary.readings import Reading, RuleVerdict, Severity, Verdict
from watchtower.vocabulary.reasons import Reason, ReasonKind
from watchtower.web.board_api import OLD_SECONDS


async def test_an_incident_comes_with_its_actions_and_its_records(tcp: httpx.AsyncClient) -> None:
    answer = (await tcp.get("/api/v1/incidents/inc-2")).json()
    assert answer["incident"]["id"] == "inc-2"
    assert [action["op_id"] for action in answer["actions"]] == ["op-1"]
    assert [record["body"]["incident"] for record in answer["records"]] == ["inc-2"]


async def test_an_unknown_incident_is_answered_with_the_newest_ids(tcp: httpx.AsyncClient) -> None:
    reply = await tcp.get("/api/v1/incidents/inc-9")
    assert reply.status_code == 404
    assert reply.json()["error"].endswith("inc-3, inc-2, inc-1")


async def test_a_journal_that_cannot_be_read_does_not_hide_the_incident(house: House, tcp: httpx.AsyncClient) -> None:
    house.journal_fault = "the journal cannot be read (SQLITE_IOERR)"
    reply = await tcp.get("/api/v1/incidents/inc-2")
    assert reply.status_code == 200
    assert reply.json()["records_because"] == house.journal_fault


async def test_health_and_readiness_say_why_not(house: House, tcp: httpx.AsyncClient) -> None:
    assert (await tcp.get("/-/healthy")).text == "ok"
    house.dead_because, house.board.ready_because = "no evaluation for 12 s", "no relay worker has reported yet"
    healthy, ready = await tcp.get("/-/healthy"), await tcp.get("/-/ready")
    assert (healthy.status_code, healthy.text) == (503, "no evaluation for 12 s")
    assert (ready.status_code, ready.text) == (503, "no relay worker has reported yet")


async def test_metrics_follow_the_accept_header(tcp: httpx.AsyncClient) -> None:
    reply = await tcp.get("/metrics", headers={"accept": "application/openmetrics-text"})
    assert reply.text == "# for application/openmetrics-text\n"
    assert reply.headers["content-type"] == "text/x-test"


async def test_status_is_json_that_any_reader_can_parse(tcp: httpx.AsyncClient) -> None:
    def no_constant(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    status = json.loads((await tcp.get("/api/v1/status")).text, parse_constant=no_constant)
    assert (status["target"], status["ready"], status["storage_fault"]) == ("engine", True, "")


async def test_the_console_finds_the_latency_of_the_last_minutes_and_unknown_is_a_gap(
    house: House, tcp: httpx.AsyncClient
) -> None:
    for second in range(400):
        house.board.latency.append((float(second), None if second == 399 else 0.03))
    points = (await tcp.get("/api/v1/latency")).json()["seconds"]
    assert len(points) == 300
    assert points[-1] == {"wall": 399.0, "p95": None}
    assert points[0] == {"wall": 100.0, "p95": 0.03}


async def test_status_names_the_kind_of_every_reason_beside_its_sentence(house: House, tcp: httpx.AsyncClient) -> None:
    silent = Reason(ReasonKind.UNREADABLE, "relay worker 0 has been silent for 4.0 s", "relay")
    name = "inter_token_latency_seconds.p95"
    house.board.readings = (
        Reading(name=name, over=60, at=0, value=None, reason=silent),
        Reading(name="exchanges.open", over=60, at=0, value=3.0),
    )
    house.board.verdicts = (
        RuleVerdict(
            rule="slow", verdict=Verdict.UNKNOWN, firing=False, severity=Severity.PAGE, reasons=(silent,), sentence="?"
        ),
    )
    status = (await tcp.get("/api/v1/status")).json()
    assert [(reading["because"], reading["kind"]) for reading in status["readings"]] == [
        (silent.text, "unreadable"),
        ("", None),
    ]
    assert status["rules"][0]["reasons"] == [{"kind": "unreadable", "part": "relay", "because": silent.text}]
    assert status["watching"] == "blind"


@pytest.mark.parametrize(
    ("known", "serving", "status"), [(True, True, 200), (True, False, 503), (False, True, 200), (False, False, 200)]
)
async def test_serving_is_503_only_for_what_is_known(
    house: House, tcp: httpx.AsyncClient, known: bool, serving: bool, status: int
) -> None:
    house.board.last_tick = house.clock.now()
    house.board.serving = {"known": known, "serving": serving, "reason": "no engine runs"}
    reply = await tcp.get("/-/serving")
    assert (reply.status_code, reply.json()) == (status, house.board.serving)


async def test_a_word_on_the_engine_that_nobody_renews_lapses(house: House, tcp: httpx.AsyncClient) -> None:
    house.board.last_tick = house.clock.now()
    house.board.serving = {"known": True, "serving": False, "reason": "no engine runs"}
    house.clock.advance(OLD_SECONDS + 1)
    reply = await tcp.get("/-/serving")
    assert (reply.status_code, reply.json()["known"]) == (200, False)


async def test_before_the_first_evaluation_nothing_is_known(tcp: httpx.AsyncClient) -> None:
    reply = await tcp.get("/-/serving")
    assert (reply.status_code, reply.json()["known"]) == (200, False)
