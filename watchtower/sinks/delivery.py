"""What became of one attempt to deliver: values for ``ports.Delivery``."""

from __future__ import annotations

import msgspec


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """Delivered, or why not and what follows from it. ``because`` is a kind: no URL, no body, no secret."""

    delivered: bool = False
    final: bool = False
    gone: bool = False
    retry_after: float | None = None
    because: str = ""


DELIVERED = Attempt(delivered=True)


def retry(because: str, after: float | None = None) -> Attempt:
    """Try again later; with ``after`` (seconds) leave the whole sink alone until then."""
    return Attempt(because=because, retry_after=after)


def final(because: str) -> Attempt:
    """This notice can never be delivered here."""
    return Attempt(because=because, final=True)


def gone(because: str) -> Attempt:
    """Nothing can ever be delivered here again: the receiver asked to be left alone."""
    return Attempt(because=because, final=True, gone=True)
