"""What people read: complete, in order of importance, and legible on a narrow terminal."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import pytest
from rich.console import Console

from watchtower.board import Board
from watchtower.daemon.display import show_state
from watchtower.programs.show import show_explanation, show_incidents, show_readings, show_status
from watchtower.remediation.state import TargetState
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.actions import Cure, Incarnation
from watchtower.vocabulary.facts import EngineSeen, HoldState, RelayFrame
from watchtower.vocabulary.headline import Headline, Level
from watchtower.vocabulary.readings import READINGS, Reading, RuleVerdict, Severity, Verdict
from watchtower.vocabulary.reasons import Reason, ReasonKind
from watchtower.vocabulary.unread import RouteUnread, UnreadCause

WIDTHS = [72, 80, 200]
HELD = [
    {"gate": "budget", "because": "2 of 2 restarts this hour are spent"},
    {"gate": "cooldown", "because": "the last restart was 3 min ago, cooldown 15 min"},
]
INCIDENT: dict[str, Any] = {
    "id": "inc-1f3a9c",
    "state": "held",
    "severity": "page",
    "title": "p95 per-token latency 412 ms over 130 ms [closed?]",
    "why": "",
    "rules": ["slow_tokens", "hang"],
    "opened_at": 1000.0,
    "opened_wall": 1_767_225_600.0,
    "closed_at": None,
    "closed_wall": None,
    "held": HELD,
    "recurrences": 0,
    "actions": ["op-1"],
}


def full_status() -> dict[str, Any]:
    """Everything that can be there is there."""
    clock = HandClock()
    board = Board(target="chat-7b", version="1", mode="auto", profile="demo", started=clock.now(), ready_because="")
    show_state(board, TargetState(target="chat-7b"))
    board.engine = EngineSeen(
        at=0, known=True, serving=True, version="0.19.1", incarnation=Incarnation("4711", "88", "b")
    )
    frame = RelayFrame(at=0, worker=0, pid=1, sequence=0, open_exchanges=12, parked=3, hold=HoldState.HOLDING)
    board.relay_frames, board.relay_listening = {1: frame}, "127.0.0.1:8100"
    board.counters = {"relay_strangers": 2}
    few = Reason(ReasonKind.TOO_FEW, "only 3 of 20 requests in the window")
    board.readings = tuple(
        Reading(name=name, over=60, at=0, value=0.041, low=0.04, high=0.042, samples=99)
        if n % 3
        else Reading(name=name, over=60, at=0, value=None, reason=few)
        for n, name in enumerate(READINGS)
    )
    board.verdicts = (
        RuleVerdict(
            rule="slow_tokens", verdict=Verdict.BREACH, firing=True, severity=Severity.PAGE, cure=Cure.WARM_RESTART,
            held="as slow as always at 12 open exchanges", sentence="p95 per-token latency 412 ms over 130 ms",
        ),
        RuleVerdict(rule="meaning_drift", verdict=Verdict.UNKNOWN, firing=False, sentence="no references exist"),
    )  # fmt: skip
    board.incident = INCIDENT
    board.shown = Headline(
        level=Level.INCIDENT,
        sentence=f"chat-7b: HELD · {INCIDENT['title']}",
        since=clock.now().boot,
        next_command=f"watchtower explain {INCIDENT['id']}",
    )
    board.watched = msgspec.structs.replace(board.watched, tick_at=clock.now().boot)
    board.storage_fault = "the journal cannot be written (SQLITE_FULL)"
    board.paused = {"author": "ann", "reason": "deploying", "until_wall": 1_767_229_200.0}
    return board.status(clock.now())


def calm_status() -> dict[str, Any]:
    status = full_status() | {"incident": None, "storage_fault": "", "paused": None}
    status["rules"] = [rule | {"verdict": "ok", "firing": False, "held": ""} for rule in status["rules"]]
    return status


def printed(show: Any, value: Any, width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width)
    show(console, value)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_first_lines_are_the_headline_since_when_and_what_to_type_next() -> None:
    headline = {
        "level": "incident",
        "sentence": "chat-7b: HELD · p95 per-token latency 412 ms over 130 ms [closed?]",
        "since": 880.0,
        "next_command": "watchtower explain inc-1f3a9c",
        "also": ["no rule can be judged · the relay is silent"],
        "remark": "12 of 14 rules judge; 2 are off",
    }
    now = {"boot": 1000.0, "wall": 1_767_225_720.0}
    assert printed(show_status, calm_status() | {"headline": headline, "now": now}).splitlines()[:4] == [
        "chat-7b: HELD · p95 per-token latency 412 ms over 130 ms [closed?]",
        "  since 2026-01-01 00:00:00 UTC, 2 min · 12 of 14 rules judge; 2 are off",
        "  also: no rule can be judged · the relay is silent",
        "  next: watchtower explain inc-1f3a9c",
    ]


def test_a_full_status_says_what_holds_the_cure_who_paused_and_that_nothing_is_written() -> None:
    text = printed(show_status, full_status())
    for sentence in (
        "held by budget:    2 of 2 restarts this hour are spent",
        "held by cooldown:  the last restart was 3 min ago, cooldown 15 min",
        "observing only: the journal cannot be written (SQLITE_FULL)",
        "paused by ann until 2026-01-01 01:00:00: deploying",
        "serves, version 0.19.1; incarnation 4711@88",
        "1 worker on 127.0.0.1:8100, holding new requests; 12 open, 3 parked",
        "3 parked; 2 refused that are no workers of this target",
        "mode    auto, profile demo",
        "breach · firing",
        "action held: as slow as always at 12 open exchanges",
    ):
        assert sentence in text, sentence


@pytest.mark.parametrize("width", WIDTHS)
def test_names_are_never_cut(width: int) -> None:
    text = printed(show_readings, full_status(), width) + printed(show_status, full_status(), width)
    for name in READINGS:
        family, _, statistic = name.partition(".")
        assert name in text or (family in text and f".{statistic}" in text), name
    assert "…" not in text
    for word in ("slow_tokens", "meaning_drift", "breach", "inc-1f3a9c"):
        assert word in text, word


@pytest.mark.parametrize("width", [80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    answer = {"incident": INCIDENT, "actions": [], "records": RECORDS, "records_because": ""}
    for show, value in (
        (show_status, full_status()),
        (show_readings, full_status()),
        (show_incidents, [INCIDENT]),
        (show_explanation, answer),
    ):
        assert max(map(len, printed(show, value, width).splitlines())) <= width, show


def test_what_a_reading_left_out_its_bound_and_the_estimated_share_are_shown() -> None:
    status = calm_status()
    first, second, third = "inter_token_latency_seconds.p95", "time_to_first_token_seconds.p95", "exchanges.open"
    blank = {"low": None, "high": None, "samples": 0, "because": "", "detail": "", "estimated": 0.0}
    status["readings"] = [
        {**blank, "name": first, "value": None, "because": "no counts", "detail": "at most 149 ms", "estimated": 0.62},
        {**blank, "name": second, "value": 0.025, "because": "63 of 100 left out, the relay itself was late"},
        {**blank, "name": third, "value": 3.0},
    ]
    text = printed(show_readings, status)
    assert "unknown: no counts\n  inter_token_latency_seconds.p95 (at most 149 ms)" in text
    assert "63 of 100 left out, the relay itself was late:\n  time_to_first_token_seconds.p95" in text
    assert "62% of the tokens are estimated" in printed(show_status, status)
    assert "estimated" not in printed(show_status, calm_status())


def test_readings_have_value_band_and_samples_or_one_reason_for_all_that_share_it() -> None:
    text = printed(show_readings, full_status())
    assert "inter_token_latency_seconds.p90   41 ms" in text
    assert "40 ms – 42 ms" in text
    assert text.count("only 3 of 20 requests in the window") == 1


RECORDS = [
    {"seq": 1, "wall": 1_767_225_600.25, "kind": "incident.open", "op_id": "", "body": {"why": "it is slow [x]"}},
    {
        "seq": 2, "wall": 1_767_225_601.0, "kind": "notice.queued", "op_id": "",
        "body": {"notice": {"title": "chat-7b opened: slow"}, "sinks": ["log", "pager"]},
    },
    {
        "seq": 3, "wall": 1_767_225_602.0, "kind": "notice.dead", "op_id": "",
        "body": {"notice": "ntc-1", "sink": "pager", "queued": 2, "because": "HTTP 410"},
    },
    {
        "seq": 4, "wall": 1_767_225_603.0, "kind": "action.would_act", "op_id": "",
        "body": {"verb": "restart_group", "gates": [{"gate": "observe", "because": "mode is observe"}]},
    },
    {"seq": 5, "wall": 1_767_225_604.0, "kind": "odd", "op_id": "", "body": {"verb": "restart_group", "attempt": 1}},
]  # fmt: skip


def test_an_explanation_is_every_decision_in_one_sentence_each() -> None:
    action = {
        "op_id": "op-1", "verb": "restart_group", "state": "effective", "attempt": 1,
        "verified_by": ["4712@99 served a canary in 0.31 s"], "because": "proven",
    }  # fmt: skip
    answer = {"incident": INCIDENT, "actions": [action], "records": RECORDS, "records_because": ""}
    text = printed(show_explanation, answer)
    for sentence in (
        "inc-1f3a9c · held · opened 2026-01-01T00:00:00.000Z · rules slow_tokens, hang",
        "op-1 restart_group · effective · attempt 1",
        "verified: 4712@99 served a canary in 0.31 s",
        "00:00:00.250  incident.open     it is slow [x]",
        "to log, pager: chat-7b opened: slow",
        "pager: ntc-1, HTTP 410",
        "restart_group: mode is observe",
        "verb=restart_group, attempt=1",
    ):
        assert sentence in text, sentence


def test_an_explanation_without_its_records_says_why() -> None:
    because = "entry 7 of the journal was altered"
    answer = {"incident": INCIDENT, "actions": [], "records": [], "records_because": because}
    assert "The journal does not tell more: entry 7" in printed(show_explanation, answer)


def test_incidents_tell_how_long_each_lasted() -> None:
    over = INCIDENT | {"id": "inc-2", "state": "resolved", "closed_at": 1090.0}
    text = printed(show_incidents, [INCIDENT, over])
    assert "lasted 90 s" in text.splitlines()[2]
    assert "lasted" not in text.splitlines()[1]
    assert printed(show_incidents, []) == "No incident so far.\n"


def test_what_an_engine_says_of_itself_is_text_and_not_markup() -> None:
    status = calm_status()
    status["engine"] = status["engine"] | {"version": "[red]9[/red]", "incarnation": None, "because": "[/] odd"}
    text = printed(show_status, status)
    assert "[red]9[/red]" in text and "[/] odd" in text


BYPASS = {"author": "anna", "reason": "is it us?", "since_wall": 1_767_225_600.0, "ends": False, "workers": 1, "of": 2}


def test_a_bypass_says_who_why_and_how_it_ends() -> None:
    status = calm_status()
    status["relay"]["bypass"] = BYPASS
    text = printed(show_status, status)
    assert "bypassed by anna since 2026-01-01 00:00:00: is it us?" in text
    assert "1 of 2 relay workers only forward; ends with: watchtower bypass --off" in text
    by_itself = status | {"relay": status["relay"] | {"bypass": BYPASS | {"by_itself": True}}}
    assert "ends with: a restart of the daemon" in " ".join(printed(show_status, by_itself).split())
    assert "about to end it" in printed(
        show_status, status | {"relay": status["relay"] | {"bypass": BYPASS | {"ends": True}}}
    )


def test_what_passes_unread_is_listed_with_status_duration_and_cause() -> None:
    board = Board(target="t", version="1", mode="auto", profile="demo", started=HandClock().now(), ready_because="")
    for route, cause, requests in (
        ("/v1/models", UnreadCause.LOOK, 900),
        ("/pooling", UnreadCause.ROUTE, 12),
        ("/v1/chat/completions", UnreadCause.FORM, 20),
    ):
        statuses = {"2xx": requests - 1, "5xx": 1}
        board.relay_unread[route, cause] = RouteUnread(route, cause, requests, {}, statuses, requests * 0.8)
    text = printed(show_status, board.status(HandClock().now()))
    assert "/pooling: 12 passed (2xx 11, 5xx 1), 800 ms each; no dialect reads this route" in text
    order = [text.index(name) for name in ("/v1/chat/completions", "/pooling", "/v1/models")]
    assert order == sorted(order), "work before looks, and the most first"
