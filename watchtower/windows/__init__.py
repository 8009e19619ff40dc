"""Facts → windows → readings. Pure: no I/O, no clock, no chance.

``Windows`` is the face of the room, ``WindowSettings`` its knobs, ``LatencyTotals`` what exporters read.
"""

from watchtower.windows.totals import LatencyTotals
from watchtower.windows.window_settings import WindowSettings
from watchtower.windows.windows import Windows

__all__ = ["LatencyTotals", "WindowSettings", "Windows"]
