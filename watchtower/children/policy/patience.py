"""How long a child may be silent: longer until its first sign of life than between later ones."""

from __future__ import annotations

import msgspec


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """In seconds; None: for ever."""

    start_seconds: float | None = None
    """From the start to readiness."""
    silent_seconds: float | None = None
    """From one sign of life of a ready child to the next. None for a child that speaks only when it is asked."""

    def limit(self, *, ready: bool) -> float | None:
        """How long to wait for the next sign of life."""
        return self.silent_seconds if ready else self.start_seconds
