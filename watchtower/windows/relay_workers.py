"""Are the relay workers speaking, and is what they say complete?

Every worker speaks at least once a second and counts its frames. A worker that falls silent, a missing frame or
news that fell off its queue is a hole, and no window that covers a hole gives a number. A worker is known by its
process: one that was replaced goes on telling of its last streams beside its successor of the same number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from watchtower.vocabulary.facts import Bypassed, LoopLagged, RelayFrame, RelayGone
from watchtower.vocabulary.instants import iso
from watchtower.vocabulary.reasons import Reason, ReasonKind
from watchtower.vocabulary.sight import RELAY as PART


@dataclass(slots=True)
class Worker:
    number: int
    sequence: int
    heard_at: float
    open_exchanges: int
    dropped_news: int
    bypassed: Bypassed | None


class RelayWorkers:
    """The workers connected now, and since when their story has no hole."""

    def __init__(self, silence_seconds: float) -> None:
        self._silence_seconds = silence_seconds
        self._workers: dict[int, Worker] = {}  # by pid
        self._known: set[int] = set()
        """Numbers of all workers that ever spoke: a few, they are counted from 0."""
        self.clean_since = -math.inf
        """CLOCK_BOOTTIME seconds; -inf until somebody spoke."""
        self.hole = Reason(ReasonKind.UNREADABLE, "no relay has ever spoken", PART)
        """What the last hole was."""
        self._away = (-math.inf, -math.inf)
        """From when to when we stood still ourselves, the last time: nobody could be heard."""

    def stood_still(self, lagged: LoopLagged) -> None:
        """We did. Who says something late is not to blame for it."""
        self._away = (lagged.at - lagged.seconds, lagged.at)

    def _silence(self, since: float, now: float) -> float:
        """Seconds from ``since`` to ``now`` in which something could have been heard."""
        began, ended = self._away
        return now - since - max(0.0, min(now, ended) - max(since, began))

    def connected(self, pid: int) -> None:
        """A worker said hello: whatever we knew of it is void, its next frame begins a new story."""
        self._workers.pop(pid, None)

    def gone(self, gone: RelayGone) -> None:
        """A worker's connection ended."""
        self._workers.pop(gone.pid, None)
        self._broken(gone.at, _silent(f"relay worker {gone.worker} disconnected"))

    def heard(self, frame: RelayFrame) -> FrameHeard:
        """Take note of a frame."""
        known = self._workers.get(frame.pid)
        open_exchanges = max(0, frame.open_exchanges)
        now = Worker(frame.worker, frame.sequence, frame.at, open_exchanges, frame.dropped_news, frame.bypassed)
        if known is None:
            self._workers[frame.pid] = now
            self._broken(frame.at, self._connected(frame.worker))
            return FrameHeard(fresh=True)
        if frame.sequence <= known.sequence:
            return FrameHeard(repeated=True)
        self._workers[frame.pid] = now
        if frame.sequence != known.sequence + 1:
            self._broken(frame.at, _silent(f"frames of relay worker {frame.worker} were lost"))
            return FrameHeard(fresh=True)
        if frame.dropped_news > known.dropped_news:
            self._broken(frame.at, _silent(f"news of relay worker {frame.worker} fell off its queue"))
            return FrameHeard(shed=True)
        if known.bypassed is not None:
            self._broken(frame.at, _bypassed(frame.worker, known.bypassed))
        seconds = self._silence(known.heard_at, frame.at)
        if seconds > self._silence_seconds:
            self._broken(frame.at, _silent(f"relay worker {frame.worker} was silent for {seconds:.1f} s"))
        elif seconds > 0:
            return FrameHeard(watched_seconds=seconds, watched_open=known.open_exchanges)
        return FrameHeard()

    def unheard(self, now: float) -> Reason | None:
        """Why the traffic cannot be seen at ``now``; None when it can."""
        if not self._known:
            return _silent("no relay has ever spoken")
        if not self._workers:
            return _silent("no relay worker is connected")
        for known in self._workers.values():
            seconds = self._silence(known.heard_at, now)
            if seconds > self._silence_seconds:
                return _silent(f"relay worker {known.number} has been silent for {seconds:.1f} s")
            if known.bypassed is not None:
                return _bypassed(known.number, known.bypassed)
        return None

    def _connected(self, worker: int) -> Reason:
        """The first time is a beginning, of which nothing could have been seen; every other is a connection lost."""
        kind = ReasonKind.UNREADABLE if worker in self._known else ReasonKind.TOO_FEW
        self._known.add(worker)
        return Reason(kind, f"relay worker {worker} connected", PART)

    def _broken(self, at: float, hole: Reason) -> None:
        if at >= self.clean_since:
            self.clean_since, self.hole = at, hole


def _bypassed(worker: int, by: Bypassed) -> Reason:
    since = iso(by.since_wall)[:16]
    return _silent(f"relay worker {worker} is bypassed by {by.author} since {since}Z ({by.reason}) and reads nothing")


def _silent(text: str) -> Reason:
    return Reason(ReasonKind.UNREADABLE, text, PART)


@dataclass(frozen=True, slots=True)
class FrameHeard:
    """What a frame means for those who keep count."""

    fresh: bool = False
    """The first of a new story: exchanges known from this worker may have ended unseen."""
    shed: bool = False
    """News is missing: gaps for certain, in the worst case endings."""
    repeated: bool = False
    """Seen before, or overtaken: to be ignored."""
    watched_seconds: float = 0.0
    """``watched_open`` exchanges were open for this long."""
    watched_open: int = 0
