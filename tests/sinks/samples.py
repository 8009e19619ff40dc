"""One notice of every sort that people get, as the machine makes them."""

from __future__ import annotations

from typing import Any

import msgspec

from watchtower.catalogue import settings_of
from watchtower.vocabulary.incidents import IncidentState, Notice, NoticeKind

WHAT = "p95 per-token latency 254 ms over 130 ms"
OPENED = Notice(
    id="ntc-1a2b3c4d5e6f7081",
    kind=NoticeKind.OPENED,
    target="chat-7b",
    incident="inc-6349d2",
    wall=1_767_225_672.0,
    severity="page",
    title=f"chat-7b opened: {WHAT}",
    text=f"{WHAT}.",
    next_command="watchtower explain inc-6349d2",
    state=IncidentState.OPEN,
    what=WHAT,
    since=1_767_225_612.0,
    details={"rules": "slow_tokens", "mode": "auto"},
)
ESCALATED = msgspec.structs.replace(
    OPENED,
    id="ntc-2a2b3c4d5e6f7081",
    kind=NoticeKind.ESCALATED,
    wall=OPENED.wall + 600,
    state=IncidentState.ESCALATED,
    news="A person is needed: restart_group (attempt 2) is ineffective: still so afterwards; no attempt is left.",
    details={**OPENED.details, "release": "watchtower ack inc-6349d2 --resume --reason '…' # or --resolve"},
)
HELD = msgspec.structs.replace(
    OPENED,
    id="ntc-3a2b3c4d5e6f7081",
    kind=NoticeKind.HELD,
    wall=OPENED.wall + 5,
    state=IncidentState.HELD,
    news="Nothing is done: 2 of 2 restarts in this hour.",
)
RESOLVED = msgspec.structs.replace(
    OPENED,
    id="ntc-4a2b3c4d5e6f7081",
    kind=NoticeKind.RESOLVED,
    wall=OPENED.wall + 900,
    state=IncidentState.RESOLVED,
    news="Resolved: restart_group was effective, and it stayed well for 5 min.",
)
MODE = msgspec.structs.replace(
    OPENED,
    id="ntc-5a2b3c4d5e6f7081",
    kind=NoticeKind.MODE_CHANGED,
    incident="mode-chat-7b",
    severity="info",
    state=IncidentState.CLEAR,
    what="paused until 2026-01-01T00:10Z by ann: deploying",
    news="No new action until then.",
    since=0.0,
    details={},
)
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def sink_settings(kind: str, **fields: Any) -> Any:
    """As read from a file."""
    return settings_of("sinks", kind).model_validate({"kind": kind, **fields})
