"""Chance as a pure function of where it is asked.

``draw(seed, "rank", 2, 17)`` is the same number today, tomorrow and in another process, whatever was asked before it.
So one rank's jitter does not depend on how many requests another rank served, and no generator has to be passed around.
"""

from __future__ import annotations

from hashlib import blake2b

Key = int | str


def _digest(keys: tuple[Key, ...]) -> int:
    hasher = blake2b(digest_size=8)
    for key in keys:
        hasher.update(repr(key).encode())
        hasher.update(b"\x1f")
    return int.from_bytes(hasher.digest(), "big")


def draw(*keys: Key) -> float:
    """A number in [0, 1), uniform over the keys."""
    return (_digest(keys) >> 11) / (1 << 53)


def pick(count: int, *keys: Key) -> int:
    """An index in [0, count), uniform over the keys. ``count`` must be positive."""
    return _digest(keys) % count
