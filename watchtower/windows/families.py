"""The list of signal families: sources of readings that need nothing of the relay's traffic.

A new one is a file with a class of this shape, one line here, and a row for each of its readings in
``vocabulary.readings``. Everything else (rules, scenarios, metrics, console, manual) finds it by that row.
"""

from __future__ import annotations

from typing import Protocol

from watchtower.vocabulary.facts import AnyFact
from watchtower.vocabulary.readings import Reading
from watchtower.windows.live_windows import LiveWindows
from watchtower.windows.meaning_windows import MeaningWindows
from watchtower.windows.window_settings import WindowSettings


class SignalFamily(Protocol):
    """Pure: no clock, and no error for what a fact says."""

    @property
    def names(self) -> tuple[str, ...]:
        """What stands before the dot of its readings."""
        ...

    def absorb(self, fact: AnyFact) -> None:
        """Any fact but a relay's frame, in the order they arrive; what is none of its business is ignored."""
        ...

    def reset(self, mark: float) -> None:
        """Another incarnation of the engine was seen at ``mark``: nothing older counts."""
        ...

    def read(self, name: str, over: float, now: float) -> Reading:
        """One of its readings, over the ``over`` seconds that end at ``now`` (CLOCK_BOOTTIME), or why there is none."""
        ...


def families(settings: WindowSettings) -> tuple[SignalFamily, ...]:
    return (MeaningWindows(settings.minimum_answers), LiveWindows())
