"""The words between the daemon and its adapter child: one JSON line a call, one a result, matched by ``id``.

The first line to the child is its ``Setup`` (it holds the API key, which therefore never stands on a command line); the
first line from it is a result with id 0: ready.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from watchtower.knobs import EngineSettings, SupervisorSettings
from watchtower.vocabulary.actions import Plan
from watchtower.vocabulary.references import Question

LINE_BYTES = 1024 * 1024
READY = 0


class Method(StrEnum):
    OBSERVE = "observe"
    EXECUTE = "execute"
    STATUS = "status"
    FENCE = "fence"
    CAPABILITIES = "capabilities"
    SCRAPE = "scrape"
    CANARY = "canary"
    CHECKPOINT = "checkpoint"
    ASK = "ask"


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """Which adapter, and its settings with secrets in clear."""

    engine: dict[str, Any]
    supervisor: dict[str, Any]
    state_directory: str
    canary_prompt: str

    def __repr__(self) -> str:
        return "Setup(…)"


class Call(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``method`` says which of the other fields mean something."""

    id: int
    method: Method
    at: float = 0.0
    plan: Plan | None = None
    op_id: str = ""
    token: int = 0
    canary: str = ""
    seconds: float = 0.0
    question: Question | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    id: int
    value: msgspec.Raw = msgspec.Raw(b"null")
    trouble: str = ""
    """Set when the call raised: a kind, never a message."""


def setup(engine: EngineSettings, supervisor: SupervisorSettings, state_directory: str, canary_prompt: str) -> Setup:
    return Setup(
        engine=engine.revealed(),
        supervisor=supervisor.revealed(),
        state_directory=state_directory,
        canary_prompt=canary_prompt,
    )
