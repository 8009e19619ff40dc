"""The driver's error messages that were heard: counted by kind, the fatal ones kept.

A GPU that fell off the bus says so once and never again, so fatal ones are not forgotten with their window: whoever
reads them knows whether their GPU is back.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from watchtower.vocabulary.gpus import Xid
from watchtower.vocabulary.xids import XidKind, meaning

FATAL_XIDS: Final = "gpu_xid.fatal"
MOST_KEPT: Final = 200


class XidLog:
    def __init__(self) -> None:
        self._fatal: deque[Xid] = deque(maxlen=MOST_KEPT)
        self._counts: dict[str, Counter[XidKind]] = {}

    def absorb(self, xids: Iterable[Xid]) -> None:
        for xid in xids:
            kind = meaning(xid.number).kind
            self._counts.setdefault(xid.uuid, Counter())[kind] += 1
            if kind is XidKind.FATAL:
                self._fatal.append(xid)

    def fatal(self) -> list[Xid]:
        """Oldest first."""
        return list(self._fatal)

    def counts(self, uuid: str) -> dict[str, int]:
        """Since this daemon listens, by kind; every kind is there, so that 0 is seen."""
        counted = self._counts.get(uuid, Counter())
        return {kind.value: counted[kind] for kind in XidKind}


def describe(xids: Sequence[Xid], labels: Mapping[str, str]) -> str:
    """The newest of each GPU, with what it means."""
    newest = {xid.uuid: xid for xid in xids}
    return "; ".join(
        f"{labels.get(uuid) or 'an unnamed GPU'}: Xid {xid.number}, {meaning(xid.number).text}"
        for uuid, xid in newest.items()
    )
