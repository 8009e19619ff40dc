from __future__ import annotations

import json
import re

import msgspec
import pytest

from tests.storage.samples import a_notice
from watchtower.sinks.event import MOST_BYTES, event_body, event_type
from watchtower.sinks.message import message_of
from watchtower.vocabulary.incidents import NoticeKind


@pytest.mark.parametrize("kind", list(NoticeKind))
def test_every_kind_has_a_dotted_type(kind: NoticeKind) -> None:
    assert re.fullmatch(r"(incident|watchtower)\.[a-z_]+", event_type(kind))


@pytest.mark.parametrize("letter", ["x", "é", "🔥", '"'])
def test_the_longest_notice_stays_under_the_limit_and_is_still_json(letter: str) -> None:
    long = letter * 50_000
    notice = msgspec.structs.replace(
        a_notice(),
        title=long,
        text=long,
        target=long,
        incident=long,
        severity=long,
        next_command=long,
        details={f"{n}{long}": long for n in range(100)},
    )
    body = event_body(notice, message_of(notice))
    assert len(body) <= MOST_BYTES
    data = json.loads(body)["data"]
    assert len(data["title"]) == 150
    assert len(data["text"]) >= 1000


def test_an_ordinary_notice_is_not_cut() -> None:
    notice = msgspec.structs.replace(
        a_notice(), what="p95 per token 212 ms, limit 130 ms", news="It began.", details={"p95": "212 ms"}
    )
    data = json.loads(event_body(notice, message_of(notice)))["data"]
    assert data["text"] == "p95 per token 212 ms, limit 130 ms. It began."
    assert data["details"] == {"p95": "212 ms"}
