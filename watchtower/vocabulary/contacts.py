"""Contacts: what came of our attempts to reach the engine, by whichever hand. Values inside the facts of the hands."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class ContactKind(StrEnum):
    """What came of an attempt to reach the engine."""

    HTTP = "http"
    """An HTTP status line, whatever it says: proof that somebody answers."""
    OK = "ok"
    """A connection, and nothing more. Proves nothing: a stopped process and most proxies accept for the dead."""
    REFUSED = "refused"
    """The connection was refused, or there is no way to the address."""
    TIMEOUT = "timeout"
    """No connection, or no answer, in time."""

    @classmethod
    def _missing_(cls, value: object) -> ContactKind | None:
        return cls.OK if isinstance(value, str) else None


class ContactBy(StrEnum):
    """Our hands at the engine."""

    RELAY = "relay"
    CANARY = "canary"
    SCRAPE = "scrape"


class Contact(msgspec.Struct, frozen=True, array_like=True):
    """The newest attempt of one hand that ended this way. A value inside the facts of the hands."""

    by: ContactBy
    kind: ContactKind
    at: float
