"""One relay worker: how long its frames have stayed away, and whether it does anything at all meanwhile.

Frames come every second, whatever the traffic. A worker that is silent loses its place, not its connections: it may
only be slow. It is ended when it has stood still for a minute, by the kernel's word.
"""

from __future__ import annotations

from typing import Final

from watchtower.children.outliving import Motion, OutlivingProcess
from watchtower.children.policy.patience import Patience
from watchtower.children.policy.silence import Silence

LOOK_SECONDS: Final = 0.5
"""How often every worker is looked at."""
PATIENCE: Final = Patience(start_seconds=30.0, silent_seconds=10.0)
"""Whoever is silent for longer gets a stand-in."""
STILL_SECONDS: Final = 60.0
"""A silent worker that was stopped, or used no CPU, for so long is ended."""


class WatchedWorker:
    """``look`` at it about every ``LOOK_SECONDS``."""

    def __init__(self, number: int, process: OutlivingProcess, *, reads: bool = True) -> None:
        self.number = number
        self.process = process
        self.reads = reads
        """It does not only forward."""
        self.heard = False
        """It has spoken to this daemon."""
        self.ending = False
        """It was killed, and may take its time to die."""
        self._silence = Silence(period_seconds=LOOK_SECONDS)
        self._stillness = Silence(period_seconds=LOOK_SECONDS)
        self._motion: Motion | None = None

    def look(self, passed_seconds: float, *, spoke: bool) -> None:
        """``passed_seconds`` since the look before; ``spoke``: it was heard in between."""
        motion, before = self.process.motion(), self._motion
        moved = motion is not None and before is not None and not motion.stopped and motion.cpu_ticks > before.cpu_ticks
        self._motion = motion
        self.heard = self.heard or spoke
        self._silence = self._silence.looked(passed_seconds, sign=spoke)
        self._stillness = self._stillness.looked(passed_seconds, sign=spoke or moved)

    @property
    def silent_seconds(self) -> float:
        return self._silence.seconds

    @property
    def overdue(self) -> bool:
        """It has been silent for too long."""
        limit = PATIENCE.limit(ready=self.heard)
        return limit is not None and self._silence.seconds >= limit

    @property
    def busy(self) -> bool:
        """It used CPU between the last two looks."""
        return self._stillness.seconds == 0

    @property
    def stuck(self) -> bool:
        """It has stood still for too long."""
        return self._stillness.seconds >= STILL_SECONDS
