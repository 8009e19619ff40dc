"""``watchtower journal``: is what the daemon remembers whole, and the way on when it is not.

Works on the files, so that it answers when no daemon starts any more; a running daemon does not mind ``verify``.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from watchtower.clock import SystemClock
from watchtower.storage import aside
from watchtower.storage.journal import verify as verify_journal
from watchtower.vocabulary.errors import BadInput, ExitCode, Problem
from watchtower.vocabulary.records import Damage

CURE = "copy the state directory, look, and then: watchtower journal set-aside --yes"


def verify(directory: Path, *, as_json: bool) -> int:
    """Check every entry, the state and the outbox against the chain. Raises BadInput where there is no journal."""
    if not aside.present(directory):
        what, cure = f"{directory} holds no journal", "name the daemon's state directory"
        raise BadInput([Problem("--state-dir", "", what, cure)])
    found = verify_journal(directory)
    whole = not isinstance(found, Damage)
    if as_json:
        print(json.dumps({"whole": whole, **msgspec.to_builtins(found)}, indent=2))
    elif isinstance(found, Damage):
        place = f" at entry {found.first_bad_seq}" if found.first_bad_seq else ""
        print(f"the journal in {directory} is damaged{place}: {found.because}\n{CURE}")
    else:
        print(f"{found.entries} entries, whole up to {found.sequence} ({found.hash[:12]})")
    return ExitCode.OK if whole else ExitCode.PROBLEM_FOUND


def set_aside(directory: Path, *, yes: bool, as_json: bool) -> int:
    """Move the journal's files away, so that the next start begins a new one. Raises BadInput without ``yes``, Refused
    while a daemon runs, StorageFault when there is nothing to move or the disk refuses."""
    if not yes:
        what = "the next start forgets this journal's budgets, attempts and open intents"
        raise BadInput([Problem("--yes", "", what, "add --yes when you have looked at it")])
    destination = aside.set_aside(directory, SystemClock().now())
    print(json.dumps({"moved_to": str(destination)}, indent=2) if as_json else f"moved to {destination}")
    return ExitCode.OK
