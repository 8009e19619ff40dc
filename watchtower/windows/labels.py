"""Series by tag and variant, for as many as rules name and no more: clients choose both, so neither is a bound.

An exchange belongs to every series that its tag and its variant fit, and to ``other`` when it fits none. Where no
rule names any, nothing is kept and nothing is looked up. A series costs about half a millisecond a tick while rules
read it, so at most MOST_LABELLED are kept; what is named beyond them is told as not configured.
"""

from __future__ import annotations

from typing import Final

from watchtower.vocabulary.metrics import OTHER
from watchtower.vocabulary.signals import MOST_LABELLED, Signal
from watchtower.windows.observations import Observations
from watchtower.windows.window_settings import WindowSettings

MOST_KNOWN: Final = 1024
"""Pairs of tag and model whose series are remembered; then they are looked up anew."""

Memberships = tuple[Observations, ...]


class LabelledSeries:
    """Which series an exchange is observed in, beside the one of all traffic."""

    def __init__(self, settings: WindowSettings) -> None:
        named = dict.fromkeys((signal.tag, signal.variant) for signal in settings.signals if signal.labelled)
        kept = list(named)[:MOST_LABELLED]
        self._series = {labels: Observations(settings) for labels in kept}
        if kept:
            self._series.setdefault((OTHER, ""), Observations(settings))
        self._known: dict[tuple[str, str], Memberships] = {}

    def __len__(self) -> int:
        return len(self._series)

    def of_signal(self, signal: Signal) -> Observations | None:
        """None where this series is not kept."""
        return self._series.get((signal.tag, signal.variant))

    def of_exchange(self, tag: str, model: str) -> Memberships:
        """Every series that fits an exchange with this tag, which this model answers ("" while it is not known)."""
        if not self._series:
            return ()
        found = self._known.get((tag, model))
        if found is None:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            found = self._known[tag, model] = self._find(tag, model)
        return found

    def is_other(self, memberships: Memberships) -> bool:
        """Whether these are of an exchange that no series was named for."""
        return bool(memberships) and memberships[0] is self._series.get((OTHER, ""))

    def _find(self, tag: str, model: str) -> Memberships:
        fitting = tuple(
            self._series[labels]
            for labels in dict.fromkeys(((tag, model), (tag, ""), ("", model)))
            if labels in self._series and labels != (OTHER, "")
        )
        return fitting or (self._series[OTHER, ""],)
