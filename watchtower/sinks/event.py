"""The body of a webhook: ``{"type": "incident.opened", "timestamp": …, "data": {…}}``, under 20 KB.

The same notice gives the same bytes at every attempt. What is too long is cut where a reader can spare it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from watchtower.sinks.message import HEADLINE_LIMIT, Message, cut
from watchtower.vocabulary.incidents import Notice, NoticeKind
from watchtower.vocabulary.instants import iso

MOST_BYTES = 20_000

_ABOUT_US = frozenset({NoticeKind.BLIND, NoticeKind.STORAGE_FAULT, NoticeKind.MODE_CHANGED, NoticeKind.TEST})
"""Told of Watchtower itself; everything else is told of an incident."""


def event_type(kind: NoticeKind) -> str:
    return f"{'watchtower' if kind in _ABOUT_US else 'incident'}.{kind.value}"


def event_body(notice: Notice, message: Message) -> bytes:
    """JSON of the event; at most ``MOST_BYTES``."""
    body = _encode(notice, message, text=4000, details=32)
    if len(body) > MOST_BYTES:
        body = _encode(notice, message, text=1000, details=0)
    return body


def _encode(notice: Notice, message: Message, *, text: int, details: int) -> bytes:
    data: dict[str, Any] = {
        "id": notice.id,
        "incident": cut(notice.incident, 200),
        "state": notice.state.value,
        "target": cut(notice.target, 200),
        "severity": cut(notice.severity, 40),
        "title": cut(message.headline, HEADLINE_LIMIT),
        "text": cut(message.text, text),
        "since": iso(notice.since) if notice.since else None,
        "next_command": cut(notice.next_command, 500),
        "link": cut(message.link, 500),
        "details": {cut(k, 64): cut(v, 256) for k, v in list(notice.details.items())[:details]},
    }
    return msgspec.json.encode({"type": event_type(notice.kind), "timestamp": iso(notice.wall), "data": data})
