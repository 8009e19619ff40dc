"""The bypass as the daemon sees it: a person's order is a file that the relay workers look at.

The file is the truth, whoever made it: this daemon for ``watchtower bypass``, the same command while no daemon
answered, or a person with ``touch``. So every change is noticed here, and handed to the machine to be journaled and
announced.
The order works even where the journal does not: it only ever takes Watchtower out of the way.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final

from watchtower.ports import Clock
from watchtower.taps.bypass import bypass_path, end_bypass, read_bypass, write_bypass
from watchtower.vocabulary.facts import Bypassed, RelayFrame

LOOK_SECONDS: Final = 1.0


class Bypassing:
    """What the file says, who obeys it, and a person's order."""

    def __init__(
        self,
        directory: Path,
        clock: Clock,
        frames: Callable[[], Collection[RelayFrame]],
        on_change: Callable[[Bypassed | None], None],
    ) -> None:
        """``directory``: the run directory that the workers share. ``frames``: the newest of each worker.
        ``on_change`` is told at the first look as well."""
        self._path = bypass_path(directory)
        self._clock = clock
        self._frames = frames
        self._on_change = on_change
        self._reported = False
        self.ordered: Bypassed | None = None
        """As the file said when it was last looked at."""

    async def run(self) -> None:
        """For ever."""
        while True:
            self.look()
            await self._clock.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """Notice what the file says by now."""
        ordered = read_bypass(self._path)
        if ordered != self.ordered or not self._reported:
            self.ordered, self._reported = ordered, True
            self._on_change(ordered)

    def order(self, on: bool, author: str, reason: str) -> str:
        """ "" once it is ordered, or why it is not. The workers obey within a second."""
        before = read_bypass(self._path)
        if on and before is not None:
            return f"{before.author} had it bypassed already: {before.reason}"
        if not on and before is None:
            return "the relay is not bypassed"
        try:
            if on:
                write_bypass(self._path, Bypassed(author, reason, self._clock.now().wall))
            else:
                end_bypass(self._path)
        except OSError as problem:
            return f"{self._path} cannot be changed: {problem.strerror}"
        self.look()
        return ""

    def document(self) -> dict[str, Any] | None:
        """Who ordered it, and how many of the connected workers obey; None while nobody did and none does."""
        frames = self._frames()
        obeying = [frame for frame in frames if frame.bypassed is not None]
        ordered = self.ordered or (obeying[0].bypassed if obeying else None)
        if ordered is None:
            return None
        return {
            "author": ordered.author,
            "reason": ordered.reason,
            "since_wall": ordered.since_wall,
            "ends": self.ordered is None and not ordered.by_itself,
            "by_itself": ordered.by_itself,
            "workers": len(obeying),
            "of": len(frames),
        }
