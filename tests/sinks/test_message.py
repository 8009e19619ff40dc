"""What a person reads at three in the morning: the first line says it all."""

from __future__ import annotations

import msgspec
import pytest

from tests.sinks.samples import ESCALATED, HELD, MODE, OPENED, RESOLVED
from watchtower.sinks.message import HEADLINE_LIMIT, Phase, message_of, plain, shorter
from watchtower.vocabulary.incidents import Notice, NoticeKind, notices_of_every_kind

CURED = msgspec.structs.replace(
    OPENED, kind=NoticeKind.RESULT, news="restart_group worked: x.", details={"outcome": "effective"}
)


@pytest.mark.parametrize(
    ("notice", "headline"),
    [
        (OPENED, "ALERT · chat-7b: p95 per-token latency 254 ms over 130 ms"),
        (
            msgspec.structs.replace(OPENED, severity="warn"),
            "WARNING · chat-7b: p95 per-token latency 254 ms over 130 ms",
        ),
        (
            HELD,
            "NOTHING DONE · chat-7b: p95 per-token latency 254 ms over 130 ms · 2 of 2 restarts in this hour",
        ),
        (
            msgspec.structs.replace(HELD, news="Approval wanted: rollback."),
            "APPROVAL WANTED · chat-7b: p95 per-token latency 254 ms over 130 ms · rollback",
        ),
        (CURED, "CURED · chat-7b: p95 per-token latency 254 ms over 130 ms · restart_group worked: x"),
        (
            ESCALATED,
            "PERSON NEEDED · chat-7b: p95 per-token latency 254 ms over 130 ms · "
            "restart_group (attempt 2) is ineffective: still so afterwards; no attempt is left",
        ),
        (MODE, "MODE · chat-7b: paused until 2026-01-01T00:10Z by ann: deploying · No new action until then"),
    ],
)
def test_the_first_line_says_which_news_of_which_server_how_bad_and_what_came_of_it(
    notice: Notice, headline: str
) -> None:
    assert message_of(notice).headline == headline


def test_the_whole_message_reads_in_the_same_order_and_ends_with_the_command() -> None:
    assert plain(message_of(ESCALATED, "https://watch.example")) == (
        "PERSON NEEDED · chat-7b: p95 per-token latency 254 ms over 130 ms · "
        "restart_group (attempt 2) is ineffective: still so afterwards; no attempt is left\n"
        "\n"
        "Since     2026-01-01 00:00:12 UTC, for 11 min\n"
        "Rules     slow_tokens\n"
        "Mode      auto\n"
        "Severity  page\n"
        "Incident  inc-6349d2, escalated\n"
        "Next      watchtower explain inc-6349d2\n"
        "Then      watchtower ack inc-6349d2 --resume --reason '…' # or --resolve\n"
        "Console   https://watch.example"
    )


@pytest.mark.parametrize("notice", list(notices_of_every_kind()), ids=lambda notice: notice.kind.value)
def test_every_kind_of_notice_has_a_word_and_a_phase_and_the_same_message_each_time(notice: Notice) -> None:
    first = message_of(notice)
    assert first == message_of(notice)
    assert first.word.isupper()
    assert first.headline.startswith(first.word)


def test_what_opens_what_ends_and_what_does_neither() -> None:
    phases = {notice.kind: message_of(notice).phase for notice in (OPENED, ESCALATED, HELD, RESOLVED, MODE)}
    assert phases == {
        NoticeKind.OPENED: Phase.OPEN,
        NoticeKind.ESCALATED: Phase.OPEN,
        NoticeKind.HELD: Phase.UPDATE,
        NoticeKind.RESOLVED: Phase.RESOLVE,
        NoticeKind.MODE_CHANGED: Phase.ANNOUNCE,
    }


def test_nothing_in_a_notice_can_break_a_line() -> None:
    notice = msgspec.structs.replace(OPENED, target="a\r\nBcc: x", what="b\x1b[31m\n\nc", news="d\u2028e")
    message = message_of(notice)
    assert message.headline == "ALERT · a Bcc: x: b [31m c · d e"
    assert all("\n" not in value for _, value in message.facts)


def test_a_headline_too_long_loses_whole_clauses_and_never_exceeds_the_limit() -> None:
    notice = msgspec.structs.replace(ESCALATED, news="one, two; " + "three " * 40)
    assert message_of(notice).headline.endswith("130 ms · one, two")
    endless = msgspec.structs.replace(ESCALATED, what="x" * 400)
    assert len(message_of(endless).headline) == HEADLINE_LIMIT


def test_what_the_first_line_had_no_room_for_stands_below_it() -> None:
    long = (
        "GPU utilization differs by 52.4 pp between ranks (limit 15 pp) · GPU 1 works 47 %, the others 99 %: "
        + "x" * 60
    )
    message = message_of(msgspec.structs.replace(OPENED, what=long, news="Nothing is done: observe."))
    assert ("What", long) in message.untold and ("Now", "Nothing is done: observe.") in message.untold
    assert {name for name, _ in message_of(ESCALATED).untold}.isdisjoint({"What", "Now"})


def test_a_pager_with_less_room_loses_whole_clauses() -> None:
    message = message_of(ESCALATED)
    assert len(message.headline) > 130
    assert shorter(message, 130).endswith("restart_group (attempt 2) is ineffective")
    assert shorter(message, 60) == "PERSON NEEDED · chat-7b: p95 per-token latency 254 ms over…"


def test_a_notice_of_an_earlier_version_still_reads_well() -> None:
    old = msgspec.structs.replace(OPENED, what="", news="", since=0.0, details={})
    message = message_of(old)
    assert "chat-7b opened" in message.headline
    assert message.news == OPENED.text
