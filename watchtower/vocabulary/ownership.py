"""Words between the daemon and whoever owns the engine's process: what was found, and what a person orders."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from watchtower.vocabulary.actions import Incarnation


class Ensured(msgspec.Struct, frozen=True, kw_only=True):
    """What ``Owner.ensure`` saw to."""

    incarnation: Incarnation | None = None
    """Who runs; None: nobody, or nobody can tell."""
    found: bool = True
    """Whoever owns the engine was there already; False: it had to be started."""
    because: str = ""
    """What is not as ordered; "" when all is well."""


class PersonVerb(StrEnum):
    """Those of a person's orders that reach the owner. The third, ``restart``, is an action of the machine and reaches
    the engine by the adapter, as a cure does."""

    START = "start"
    STOP = "stop"


class PersonOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A person wants it, whatever the rules say."""

    verb: PersonVerb
    author: str
    reason: str
