"""What people get can be drawn, block by block, and says at first sight what they need at three in the morning."""

from __future__ import annotations

import asyncio
import struct

import pytest

from tests.pictures import faces
from tests.pictures.sheet import COMPOSITE, faces_of
from tests.pictures.story import SENTENCE, Posted, cured, escalated
from watchtower.sinks.message import message_of
from watchtower.vocabulary.incidents import Notice, NoticeKind

CURED, ESCALATED = cured(), escalated()


@pytest.fixture(scope="module")
def drawn() -> dict[str, list[str]]:
    return asyncio.run(faces_of([*CURED, *ESCALATED]))


def headline(kind: NoticeKind, notices: list[Notice]) -> str:
    return message_of(next(notice for notice in notices if notice.kind is kind)).headline


def test_the_two_stories_are_whole() -> None:
    assert [str(notice.kind) for notice in CURED] == ["opened", "acting", "result", "resolved"]
    assert [str(notice.kind) for notice in ESCALATED][-1] == "escalated"


@pytest.mark.parametrize("receiver", ["smtp", "slack", "teams", "pagerduty", "opsgenie"])
def test_every_notice_reaches_every_receiver_with_its_sentence_and_its_command(
    receiver: str, drawn: dict[str, list[str]]
) -> None:
    for notice, html in zip([*CURED, *ESCALATED], drawn[receiver], strict=True):
        assert SENTENCE in html
        assert notice.next_command in html


@pytest.mark.parametrize("receiver", ["smtp", "slack", "teams", "pagerduty", "opsgenie"])
def test_who_is_needed_is_told_what_to_type_to_let_it_go_on(receiver: str, drawn: dict[str, list[str]]) -> None:
    assert f"watchtower ack {ESCALATED[-1].incident} --resume --reason" in drawn[receiver][-1]


def test_the_first_line_tells_what_where_how_bad_since_when_and_what_was_done() -> None:
    assert headline(NoticeKind.OPENED, CURED) == f"ALERT · chat-7b: {SENTENCE} since 03:00:13 UTC"
    assert "restart_group (attempt 1)" in headline(NoticeKind.ACTING, CURED)
    assert "slow_tokens is back inside its limit: 40 ms against 130 ms" in headline(NoticeKind.RESULT, CURED)
    assert "it stayed well for 5 min" in headline(NoticeKind.RESOLVED, CURED)
    assert "restart_host (attempt 1) is ineffective" in headline(NoticeKind.ESCALATED, ESCALATED)


@pytest.mark.parametrize("receiver", ["slack", "teams"])
def test_nothing_is_said_twice(receiver: str, drawn: dict[str, list[str]]) -> None:
    assert all(html.count(SENTENCE) == 1 for html in drawn[receiver])


@pytest.mark.parametrize(
    ("draw", "body"),
    [
        (
            faces.slack,
            {"text": "x", "attachments": [{"color": "#000000", "fallback": "x", "blocks": [{"type": "table"}]}]},
        ),
        (faces.teams, {"attachments": [{"content": {"body": [{"type": "Image", "url": "x"}]}}]}),
        (faces.pagerduty, {"event_action": "trigger", "images": []}),
    ],
)
def test_a_block_that_nobody_has_looked_at_cannot_be_sent(draw: object, body: dict[str, object]) -> None:
    assert callable(draw)
    with pytest.raises(faces.NotKnown):
        draw([Posted("POST /x HTTP/1.1", body)])


def test_the_picture_of_the_page_is_there_and_small() -> None:
    data = COMPOSITE.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", data[16:24])[0] >= 1200
    assert len(data) < 200_000
