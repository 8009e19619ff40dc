"""Sink "diary": one line a notice, appended to a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

import msgspec

from watchtower.knobs import Mistake, SinkName, SinkSettings
from watchtower.ports import Clock, Delivery
from watchtower.vocabulary.incidents import Notice


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """Port ``Delivery``."""

    delivered: bool = True
    final: bool = False
    gone: bool = False
    retry_after: float | None = None
    because: str = ""


class DiarySettings(SinkSettings):
    """Where the diary lies."""

    keeps_open: ClassVar[bool] = True
    kind: Literal["diary"]
    name: SinkName = "diary"
    path: Path
    """A file; it is made if need be."""

    def mistakes(self) -> Iterator[Mistake]:
        if self.path.suffix != ".jsonl":
            yield Mistake(("path",), "is no .jsonl file", "name one, e.g. diary.jsonl")


class Diary:
    """Port ``Sink``."""

    Settings = DiarySettings

    def __init__(self, settings: DiarySettings, clock: Clock, console: str = "") -> None:
        self.name, self._path = settings.name, settings.path

    async def send(self, notice: Notice, attempt: int) -> Delivery:
        try:
            with self._path.open("a") as file:
                file.write(json.dumps({"id": notice.id, "kind": notice.kind, "title": notice.title}) + "\n")
        except OSError as problem:
            return Written(delivered=False, because=type(problem).__name__)
        return Written()

    async def close(self) -> None:
        """Nothing is open."""
