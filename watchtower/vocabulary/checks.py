"""What ``watchtower doctor`` says of one part: fine, not asked for, or a problem with its cure."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Health(StrEnum):
    OK = "ok"
    OFF = "off"
    """Nobody asked for it."""
    PROBLEM = "problem"


class Check(msgspec.Struct, frozen=True):
    name: str
    health: Health
    what: str
    cure: str = ""
