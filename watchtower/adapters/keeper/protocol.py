"""What is said on the keeper's socket: one JSON line asked, one JSON line answered, per connection.

A request never carries a command line: what runs comes from the ``KeeperPlan`` the keeper was started with, so that
whoever reaches the socket can at most restart the engine, never run anything else.
"""

from __future__ import annotations

import os
from hashlib import blake2b

import msgspec

from watchtower.vocabulary.actions import Answer, Incarnation, Plan, Reply

LINE_BYTES = 64 * 1024
"""Longest request or answer."""


class KeeperPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything a keeper is told, once, at its start."""

    state: str
    """Directory of lock and ledger (0700)."""
    socket: str
    log: str
    """The engine's standard output and error, appended."""
    argv: tuple[str, ...]
    inherited: dict[str, str] | None = None
    """Of the keeper's own environment: names with a hash of each value (``inheritance.inherited``). None: whatever is
    not ours."""
    environment: dict[str, str] = {}
    """Added to it."""
    directory: str = ""
    """Where the engine runs; empty: where the keeper runs."""
    term_seconds: float = 10.0
    """How long the tree may take to leave after SIGTERM."""

    def digest(self) -> str:
        """Tells two plans apart without telling what is in them. Not by what is inherited: a person who looks from a
        shell has another environment than the daemon, and the keeper compares its own at each start."""
        fields = msgspec.to_builtins(self)
        del fields["inherited"]
        return blake2b(msgspec.json.encode(fields, order="sorted"), digest_size=8).hexdigest()


class Observe(msgspec.Struct, frozen=True, tag="observe", tag_field="ask"):
    """Who runs?"""


class Execute(msgspec.Struct, frozen=True, tag="execute", tag_field="ask"):
    """Answered when the new process is started, or refused."""

    plan: Plan


class Status(msgspec.Struct, frozen=True, tag="status", tag_field="ask"):
    op_id: str


class Fence(msgspec.Struct, frozen=True, tag="fence", tag_field="ask"):
    token: int


class Start(msgspec.Struct, frozen=True, tag="start", tag_field="ask"):
    """Start the engine if it has never run here, or was last ended on request."""

    again: bool = False
    """A person wants it started although it ended by itself."""


class Stop(msgspec.Struct, frozen=True, tag="stop", tag_field="ask"):
    """End the engine and then the keeper."""


Request = Observe | Execute | Status | Fence | Start | Stop


class Observed(msgspec.Struct, frozen=True, tag="seen", tag_field="answer", kw_only=True):
    incarnation: Incarnation | None
    """None: proven not running."""
    ended: Incarnation | None = None
    """Nothing runs, and this ran last; None with no ``incarnation`` either: none was ever started."""
    because: str = ""
    plan_digest: str = ""
    keeper_pid: int = 0


class ExecutionReply(msgspec.Struct, frozen=True, tag="replied", tag_field="answer"):
    reply: Reply


class Stands(msgspec.Struct, frozen=True, tag="stands", tag_field="answer"):
    standing: Answer


class Confirmed(msgspec.Struct, frozen=True, tag="confirmed", tag_field="answer"):
    """Answer of fence, start and stop."""

    yes: bool
    because: str = ""


class KeeperTrouble(msgspec.Struct, frozen=True, tag="trouble", tag_field="answer"):
    """The question could not be read or served."""

    because: str


Response = Observed | ExecutionReply | Stands | Confirmed | KeeperTrouble


def reachable(path: str) -> tuple[str, int]:
    """An address for a Unix socket at ``path`` that fits the kernel's 107 bytes, and a descriptor to close afterwards
    (−1: none). Long paths go through ``/proc/self/fd`` of their directory. Raises ``OSError``."""
    if len(os.fsencode(path)) <= 107:
        return path, -1
    directory = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    return f"/proc/self/fd/{directory}/{os.path.basename(path)}", directory
