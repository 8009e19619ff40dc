"""What one kind of child has cost since the start of the daemon."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Counts:
    started: int = 0
    kills: int = 0
    """Given up: for silence, garbage, a missed deadline, too much memory, or a death in the middle of its work."""
    abandoned: int = 0
    """Those that SIGKILL did not end in time."""
