"""The one error tree, and the named exit codes.

    WatchtowerError
    ├── BadInput            a person wrote something we cannot use; carries every problem, each with place and cure
    │   └── OwnAddress      the engine's address is the relay's own
    ├── NotReachable        the daemon, the engine or the keeper did not answer
    ├── Refused             we (or a peer) said no before any effect
    ├── Deadline            no answer in time: the outcome is unknown, not failed
    ├── StorageFault        the disk refused, or what is on it cannot be trusted
    └── ProtocolFault       bytes that do not follow the protocol they claim

Foreign exceptions are translated at the wall of each room, always ``raise … from exc``. Expected outcomes
(refused, retry, not yet) are return values, not exceptions. No message ever carries a secret or a user's text.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import msgspec

UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding a stranger's JSON may raise. RecursionError: arrays a thousand deep are valid HTTP and valid JSON."""


class ExitCode(IntEnum):
    """What a command's exit status means; the same for every command."""

    OK = 0
    PROBLEM_FOUND = 1
    """The command worked and found something wrong (a failed check, an uncured fault)."""
    BAD_INPUT = 2
    """Usage or configuration: nothing was changed; the message names place and cure."""
    UNDECIDED = 3
    """The command worked and cannot tell: too little data."""
    UNREACHABLE = 4
    """The daemon (or engine) did not answer."""
    REFUSED = 5
    """The daemon answered: no, and why."""
    INTERRUPTED = 130
    """Ctrl-C."""


@dataclass(frozen=True)
class Problem:
    """One mistake in somebody's input: where it is, what is wrong, and how to cure it."""

    where: str
    """``file:line`` (or a flag's name)."""
    path: str
    """Dotted path inside the document, e.g. ``relay.listen``; empty when it has none."""
    what: str
    cure: str

    def __str__(self) -> str:
        return " · ".join(part for part in (self.where, self.path, self.what, self.cure) if part)


class WatchtowerError(Exception):
    """Root of everything we raise on purpose."""

    exit_code = ExitCode.PROBLEM_FOUND


class BadInput(WatchtowerError):
    """All the mistakes at once."""

    exit_code = ExitCode.BAD_INPUT

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class OwnAddress(BadInput):
    """What is forwarded to the engine's address would come back to the relay."""


class NotReachable(WatchtowerError):
    exit_code = ExitCode.UNREACHABLE


class Refused(WatchtowerError):
    exit_code = ExitCode.REFUSED


class Deadline(WatchtowerError):
    """No answer in time. The outcome is unknown, never "failed"."""


class StorageFault(WatchtowerError):
    """The disk refused, or what is on it cannot be trusted."""


class ProtocolFault(WatchtowerError):
    """Bytes that do not follow the protocol they claim."""
