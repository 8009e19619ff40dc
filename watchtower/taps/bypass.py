"""The bypass: a file in the run directory that turns relay workers into pure forwarders.

It is a file, and not an order, because it is for the night in which Watchtower itself is suspected: it must work while
the daemon is dead, hung or being upgraded, and hold for workers that start later. ``touch RUN_DIRECTORY/bypass`` is
enough, ``rm`` ends it; ``watchtower bypass`` writes who and why into it. Workers look every half second (one ``stat``,
which no disk sees).
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from watchtower.vocabulary.facts import Bypassed

LOOK_SECONDS: Final = 0.5
"""How often a worker looks."""
_MOST_BYTES: Final = 4096


def bypass_path(run_directory: Path | str) -> Path:
    return Path(run_directory) / "bypass"


def read_bypass(path: Path) -> Bypassed | None:
    """Who had it bypassed; None when nobody has. A file that says nothing that can be read counts all the same."""
    try:
        since = path.stat().st_mtime
    except FileNotFoundError:
        return None
    except OSError:
        return None  # a directory that cannot be looked into orders nothing
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(_MOST_BYTES), type=Bypassed)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return Bypassed(author="somebody", reason=f"the file {path.name} is there", since_wall=since)


def write_bypass(path: Path, bypassed: Bypassed) -> None:
    """Raises OSError."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(bypassed))
    os.replace(fresh, path)


def end_bypass(path: Path) -> None:
    """Raises OSError."""
    with suppress(FileNotFoundError):
        path.unlink()
