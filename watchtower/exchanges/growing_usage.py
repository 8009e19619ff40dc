"""Whether the usage that comes with the events of a stream counts its tokens.

Some engines tell with each event how many tokens there were so far. Others repeat zero, or one total, or tell a total
with the last event alone. Only usage that grows with the text is a count. Until that is known, a piece of text counts
as one token, and what turns out to have been more is told apart: its gaps are gone.
"""

from __future__ import annotations

from typing import Final

MOST_STAYS: Final = 3
"""After so many pieces of text with the same usage it is no count, whatever it does later."""


class GrowingUsage:
    """One per stream."""

    __slots__ = ("_guessed", "_stays", "grows", "is_no_count", "newest")

    def __init__(self) -> None:
        self.newest: dict[int, int] = {0: -1}
        """By choice; −1: none yet."""
        self.grows = False
        """It counts."""
        self.is_no_count = False
        self._guessed: dict[int, int] = {}  # pieces of text, by choice, before it grew
        self._stays = 0

    @property
    def is_guess(self) -> bool:
        """Pieces of text are counted, because usage stays while they come."""
        return not self.grows and self._stays > 0

    def count(self, choice: int, total: int, *, says: bool, ends: bool) -> tuple[int, int]:
        """An event of ``choice`` came with this ``total``; it ``says`` something, and it ``ends`` the choice. How many
        tokens are in it, and how many more there were in those before."""
        before = self.newest.get(choice, -1)
        if total > before:
            self.newest[choice] = total
        if self.grows:
            return (total - max(0, before), 0) if total > before else (0, 0)
        guessed = self._guessed.get(choice, 0)
        if 0 <= before < total and not ends:
            self.grows = True
            return max(0, total - max(before, guessed)), max(0, before - guessed)
        if not says:
            return 0, 0
        self._guessed[choice] = guessed + 1
        if before >= total:
            self._stays += 1
            self.is_no_count = self._stays >= MOST_STAYS
        return 1, 0
