"""Embeddings that are made once: the encoder takes minutes for what a second run only has to read.

Kept by the checksum of the text, in one file, which is never mistaken for another encoder's.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from watchtower.vocabulary.errors import BadInput, Problem


class KeptVectors:
    """Embeddings by the checksum of their text, in memory and, where a file is named, in it."""

    def __init__(self, path: Path | None) -> None:
        """Raises BadInput for a file that is none of ours."""
        self._path = path
        self._encoder = ""
        self._rows: dict[str, NDArray[np.float32]] = {}
        if path is None or not path.exists():
            return
        try:
            with np.load(path, allow_pickle=False) as file:
                self._encoder = str(file["encoder"])
                self._rows = dict(zip(map(str, file["names"]), file["rows"], strict=True))
        except (OSError, ValueError, KeyError) as problem:
            cure = "name another file; it is written by 'watchtower bench detect --vectors FILE'"
            raise BadInput([Problem("--vectors", "", f"{path} holds no embeddings of ours", cure)]) from problem

    def __contains__(self, text: str) -> bool:
        return _name(text) in self._rows

    def keep(self, texts: Sequence[str], vectors: Sequence[Sequence[float]], encoder: str) -> None:
        """Raises BadInput when the file holds another encoder's."""
        if self._rows and encoder != self._encoder:
            what = f"{self._path} holds embeddings of {self._encoder}, and this is {encoder}"
            raise BadInput([Problem("--vectors", "", what, "name another file")])
        self._encoder = encoder
        for text, vector in zip(texts, vectors, strict=True):
            self._rows[_name(text)] = np.asarray(vector, dtype=np.float32)
        if self._path is not None:
            beside = self._path.with_suffix(".new")
            with beside.open("wb") as file:
                np.savez(file, encoder=self._encoder, names=list(self._rows), rows=np.array(list(self._rows.values())))
            beside.replace(self._path)

    def rows(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([self._rows[_name(text)] for text in texts], dtype=np.float32)


def _name(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:24]
