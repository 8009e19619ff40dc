"""For how long a child has given no sign, as far as we were there to notice.

A watch that stood still itself knows nothing of the time in between, so what a look is late by is subtracted: it is our
own time, and no child is blamed for it.
"""

from __future__ import annotations

import msgspec


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """A value: ``looked`` returns the next one."""

    period_seconds: float
    """How often we mean to look."""
    seconds: float = 0.0
    """Since the last sign."""

    def looked(self, passed_seconds: float, *, sign: bool) -> Silence:
        """After one more look, ``passed_seconds`` after the one before; ``sign``: there was one in between."""
        seconds = 0.0 if sign else self.seconds + min(passed_seconds, self.period_seconds)
        return msgspec.structs.replace(self, seconds=seconds)
