"""The recorded answers of real engines: what was asked, what came when, and what the engine itself counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
MILLISECOND_NS: Final = 1_000_000


@dataclass(frozen=True)
class RecordedAnswer:
    """One answer, whole."""

    name: str
    path: str
    body: dict[str, Any]
    wire: bytes
    """Head and body, with their framing."""
    lengths: tuple[tuple[int, int], ...]
    """(nanoseconds since the request was sent, bytes) of each read."""
    counted: dict[str, int] | None
    """What the engine's own counters grew by: ``prompt_tokens_total``, ``generation_tokens_total``, ``finished_<why>``.
    None: it was dead by then."""

    @property
    def generated(self) -> int:
        return (self.counted or {}).get("generation_tokens_total", 0)

    @property
    def status(self) -> int:
        return int(self.wire[9:12])

    @property
    def streamed(self) -> bool:
        return b"text/event-stream" in self.wire.partition(b"\r\n\r\n")[0]

    def reads(self) -> Iterator[tuple[int, bytes]]:
        """(nanoseconds since the request was sent, bytes), as they came."""
        place = 0
        for ns, length in self.lengths:
            yield ns, self.wire[place : place + length]
            place += length


def recorded_answers(engine: str) -> list[RecordedAnswer]:
    """All of one directory, by name."""
    found = []
    for path in sorted((HERE / engine).glob("*.json")):
        told = json.loads(path.read_text(encoding="utf-8"))
        reads = tuple((round(ms * MILLISECOND_NS), length) for ms, length in told["reads_ms_bytes"])
        wire = path.with_suffix(".http").read_bytes()
        assert sum(length for _, length in reads) == len(wire), path
        found.append(RecordedAnswer(path.stem, told["path"], told["body"], wire, reads, told["counted"]))
    return found
