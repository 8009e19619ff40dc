"""The simulated prefix cache: which prompts were read before, and by which weights.

It never forgets by itself when weights change; a reset, or a pause that drains, empties it. A salt divides it: requests
with different salts never share an entry.
"""

from __future__ import annotations

from collections import OrderedDict

ENTRIES = 4096
"""The least recently used prompt leaves first."""


class PrefixCache:
    def __init__(self) -> None:
        self._filled: OrderedDict[tuple[str, str], str] = OrderedDict()

    def hit(self, salt: str, prompt: str, checkpoint: str) -> str | None:
        """The checkpoint that filled this prompt's blocks; None when they were not cached, and now are."""
        key = (salt, prompt)
        if key in self._filled:
            self._filled.move_to_end(key)
            return self._filled[key]
        self._filled[key] = checkpoint
        if len(self._filled) > ENTRIES:
            self._filled.popitem(last=False)
        return None

    def reset(self) -> None:
        self._filled.clear()
