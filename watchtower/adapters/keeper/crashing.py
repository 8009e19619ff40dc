"""Named points where a test may kill the keeper, as the kernel or an operator might.

``WATCHTOWER_CRASH_AT=<point>`` makes the process SIGKILL itself when it gets there; without it nothing happens.
"""

from __future__ import annotations

import os
import signal
from typing import Literal

CRASH_AT = "WATCHTOWER_CRASH_AT"

Point = Literal["begun", "ended", "spawned", "recorded", "released", "done"]


def crash_point(name: Point) -> None:
    if os.environ.get(CRASH_AT) == name:
        os.kill(os.getpid(), signal.SIGKILL)
