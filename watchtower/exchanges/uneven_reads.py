"""Reads that are more than one gap and its tokens, for the few exchanges that have some.

Several choices stream interleaved: what a client waits for is the next token of *one* of them. Some engines hold tool
calls back and let them go in one piece: its tokens took the silence before it, and how many they were is known from
the total alone. And while a client does not read, neither do we: that gap is the client's. An exchange with none of
these has no such object, and pays nothing for it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

MOST_CHOICES: Final = 128
"""Of one answer that are followed; the tokens of further ones are counted, and that is all."""
_MOST_KEPT: Final = 256


class ReadPace(NamedTuple):
    """What a read says of the engine's pace."""

    gap_ns: int
    tokens: int
    """0: it says nothing."""
    besides: int
    """Tokens of the read whose gap says nothing."""


class UnevenReads:
    """One per exchange that needs it. Instants are CLOCK_BOOTTIME nanoseconds."""

    __slots__ = (
        "_finished",
        "_fresh",
        "_last",
        "_pauses",
        "_reported_unread_ns",
        "_unsized",
        "held_back",
        "held_gaps_ns",
        "unread_ns",
    )

    def __init__(self) -> None:
        self._last: dict[int, int] | None = None  # choice → its newest token; 0: it has none yet
        self._finished: set[int] = set()
        self._fresh: dict[int, int] = {}
        self._pauses: list[int] = []  # instants at which reading stopped for the client, and not yet in a gap
        self._unsized = 0
        self.held_back = False
        """The engine held tool calls back: at least one piece had an unknown number of tokens."""
        self.held_gaps_ns: list[int] = []
        """The gaps before such pieces."""
        self.unread_ns = 0
        """Gaps that were the client's."""
        self._reported_unread_ns = 0

    # ── several choices ─────────────────────────────────────────────────────────────────────────

    def split(self, first_ns: int | None, fresh: int) -> None:
        """There is more than one choice. ``first_ns``: the newest token of choice 0; 0: it has none; None: it is not
        there or has finished. ``fresh``: tokens of choice 0 in the present read."""
        self._last = {} if first_ns is None else {0: first_ns}
        if fresh:
            self._fresh[0] = fresh

    def seen(self, choice: int) -> bool:
        """``choice`` is there. False: it is one too many to be followed."""
        last = self._last
        if last is None or choice in last:
            return True
        if len(last) >= MOST_CHOICES:
            return False
        last[choice] = 0
        return True

    def tokens_of(self, choice: int, count: int) -> None:
        """The present read carries ``count`` tokens of ``choice``."""
        self._fresh[choice] = self._fresh.get(choice, 0) + count

    def finished(self, choice: int) -> None:
        """No more of ``choice`` comes after the present read."""
        self._finished.add(choice)

    def slowest_ns(self) -> int:
        """The newest token of the unfinished choice that has waited longest for its next one; 0: nobody waits."""
        last = (self._last or {}).items()
        return min((ns for choice, ns in last if ns and choice not in self._finished), default=0)

    # ── tool calls held back, and a client that does not read ───────────────────────────────────

    def unsized(self) -> None:
        """One of the tokens of the present read stands for a piece of any number of them."""
        self._unsized += 1

    def paused(self, ns: int) -> None:
        """Reading from the engine stopped at ``ns``, because the client's buffer is full."""
        if len(self._pauses) < _MOST_KEPT:
            self._pauses.append(ns)

    # ── a read ──────────────────────────────────────────────────────────────────────────────────

    def read(self, ns: int, count: int, last_ns: int) -> ReadPace:
        """The read at ``ns`` carried ``count`` tokens, the first since ``last_ns`` (0: the first of all)."""
        unsized, self._unsized = self._unsized, 0
        if self._last is None:
            gap_ns, tokens = ns - last_ns, count
        else:
            gap_ns, tokens = self._longest_wait(ns, self._last)
        if not last_ns:
            self.held_back |= unsized > 0
            return ReadPace(0, 0, count - unsized)
        if self._pauses and self._pauses[0] < ns:
            self._pauses = [pause for pause in self._pauses if pause >= ns]
            self.unread_ns += ns - last_ns
            self.held_back |= unsized > 0
            return ReadPace(0, 0, count - unsized)
        if unsized:
            self.held_back = True
            if len(self.held_gaps_ns) < _MOST_KEPT:
                self.held_gaps_ns.append(gap_ns)
            return ReadPace(0, 0, count - unsized)
        return ReadPace(gap_ns, tokens, count - tokens)

    def _longest_wait(self, ns: int, last: dict[int, int]) -> tuple[int, int]:
        """Of the choices in this read, gap and tokens of the one that waited longest for a token."""
        fresh, self._fresh = self._fresh, {}
        longest, of_tokens = 0, 0
        for choice, count in fresh.items():
            before = last.get(choice)
            if before is None:
                continue
            last[choice] = ns
            if before and (not of_tokens or (ns - before) * of_tokens > longest * count):
                longest, of_tokens = ns - before, count
        for choice in self._finished:
            last.pop(choice, None)
        self._finished.clear()
        return longest, of_tokens

    def take_unread(self) -> int:
        """Of ``unread_ns``, what nobody has been told yet."""
        reported, self._reported_unread_ns = self._reported_unread_ns, self.unread_ns
        return self.unread_ns - reported

    def sized(self, tokens: int) -> list[tuple[int, int]]:
        """The pieces that were held back had ``tokens`` tokens in all: each gap with its share of them."""
        whole = sum(self.held_gaps_ns)
        if whole <= 0 or tokens <= 0:
            return []
        shares = [(gap_ns, round(tokens * gap_ns / whole)) for gap_ns in self.held_gaps_ns]
        return [(gap_ns, share) for gap_ns, share in shares if share]
