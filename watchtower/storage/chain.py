"""The hash chain: what makes a missing, altered or reordered entry visible. Pure.

Every link is hashed over a canonical text of all its fields and the hash before it. The body is kept and hashed as the
very text that was stored: decoding and encoding it again might differ in a float's last digit and cry wolf.
A local chain can be rewritten as a whole by whoever owns the disk; it guards against accidents and careless hands.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import msgspec

from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.records import Entry, StoredEntry

GENESIS = "0" * 64
"""``prev_hash`` of the first entry."""


class Link(NamedTuple):
    """One row of the table ``entries``, column by column."""

    seq: int
    kind: str
    incident: str
    op_id: str
    body: str
    """JSON text."""
    wall: float
    boot: float
    boot_id: str
    version: str
    prev_hash: str
    hash: str

    def decoded(self) -> dict[str, Any]:
        return msgspec.json.decode(self.body, type=dict[str, Any])

    def opened(self) -> StoredEntry:
        """The entry that this link holds."""
        return StoredEntry(**{**self._asdict(), "body": self.decoded()})


def digest(*fields: object) -> str:
    """SHA-256, hex, of the fields as one JSON array: no two different rows share that text."""
    return hashlib.sha256(msgspec.json.encode(fields)).hexdigest()


def seal(entry: Entry, seq: int, prev_hash: str, now: Instant, version: str) -> Link:
    """Give ``entry`` its place. Raises TypeError for a body that is not JSON."""
    body = msgspec.json.encode(entry.body, order="sorted").decode()
    fields = (seq, entry.kind, entry.incident, entry.op_id, body, now.wall, now.boot, now.boot_id, version, prev_hash)
    return Link(*fields, digest(*fields))


def intact(link: Link) -> bool:
    """The link is what was sealed (its neighbours are not looked at)."""
    return digest(*link[:-1]) == link.hash
