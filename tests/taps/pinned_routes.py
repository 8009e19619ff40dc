"""The routes of released engines, as files beside this one: facts of theirs, and what becomes of each here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

FOLDER: Final = Path(__file__).parent / "routes"
FATES: Final = ("guarded", "read", "unread", "harmless")
"""Refused; answers are read; work for the engine that nobody reads; neither control nor work worth waiting for."""


class PinnedRoute(NamedTuple):
    engine: str
    fate: str
    method: str
    """``WS`` is the GET that opens a WebSocket."""
    target: str
    """With a value in place of every parameter."""
    dialect: str = ""

    def __str__(self) -> str:
        return f"{self.engine} {self.method} {self.target}"


def with_values(template: str) -> str:
    """A path with a value in place of every ``{parameter}``."""
    return re.sub(r"\{.*?\}", "7", template)


def pinned_routes() -> list[PinnedRoute]:
    return [
        PinnedRoute(file.stem, fate, method, with_values(target), *dialect)
        for file in sorted(FOLDER.glob("*.txt"))
        for fate, method, target, *dialect in map(str.split, file.read_text().splitlines())
        if not fate.startswith("#")
    ]
