"""Whether and when another child follows one that is gone."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from watchtower.children.policy.backoff import Backoff


class ExitKind(StrEnum):
    FAILED = "failed"
    """It ended as it should not, by itself or because we gave it up: another one, after a pause."""
    AGAIN = "again"
    """It asked for a new process, or was ended for a while: another one, at once."""
    FINAL = "final"
    """None is wanted any more, or none can ever work."""


class Exit(msgspec.Struct, frozen=True):
    """How one child ended. ``because`` is for people."""

    kind: ExitKind
    because: str = ""


class Restart(msgspec.Struct, frozen=True):
    after_seconds: float
    backoff: Backoff
    """With which the next exit is judged."""


def restart(kind: ExitKind, lived_seconds: float, backoff: Backoff) -> Restart | None:
    """When the next child starts; None: never."""
    match kind:
        case ExitKind.FAILED:
            longer = backoff.after(lived_seconds)
            return Restart(longer.pause_seconds, longer)
        case ExitKind.AGAIN:
            return Restart(0.0, backoff)
        case ExitKind.FINAL:
            return None
