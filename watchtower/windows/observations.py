"""What was observed of exchanges, over time: of all of them, or of those with one tag and variant.

The path of a token writes here; readings are made from it. Latencies and counts stand side by side, because a
latency that is missing is explained by the counts.
"""

from __future__ import annotations

from watchtower.windows.lookback import Lookback
from watchtower.windows.series import Series
from watchtower.windows.timeline import Timeline
from watchtower.windows.totals import TotalsByModel
from watchtower.windows.traffic_counts import TrafficPast, TrafficSlot
from watchtower.windows.window_settings import WindowSettings


class Observations:
    """One set of series. Only the one of all traffic has totals for export: they are cumulative and by model."""

    def __init__(
        self,
        settings: WindowSettings,
        inter_token: TotalsByModel | None = None,
        first_token: TotalsByModel | None = None,
    ) -> None:
        longest = settings.longest_window_seconds
        self.inter_token = Series(settings.limits, longest, inter_token)
        self.first_token = Series(settings.limits, longest, first_token)
        self.traffic = Timeline(TrafficSlot, longest)
        self._traffic_past = Lookback(self.traffic, TrafficPast)

    def counts(self, over: float, now: float) -> TrafficSlot:
        """The counts of the ``over`` seconds that end at ``now``."""
        past, start = self._traffic_past.since(now - over, now)
        return past[start]
