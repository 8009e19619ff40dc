"""Embeddings are made once: a file keeps them, and is never mistaken for another's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from watchtower.lab.benchmarks.kept_vectors import KeptVectors
from watchtower.vocabulary.errors import BadInput


def test_what_was_kept_is_found_again_in_the_order_asked(tmp_path: Path) -> None:
    file = tmp_path / "vectors.npz"
    KeptVectors(file).keep(["a", "b"], [[1.0, 0.0], [0.0, 1.0]], "minilm")
    again = KeptVectors(file)

    assert "a" in again and "c" not in again
    assert np.array_equal(again.rows(["b", "a", "b"]), np.array([[0, 1], [1, 0], [0, 1]], dtype=np.float32))


def test_without_a_file_they_are_kept_in_memory() -> None:
    kept = KeptVectors(None)
    kept.keep(["a"], [[1.0]], "minilm")

    assert kept.rows(["a"]).tolist() == [[1.0]]


def test_a_file_of_another_encoder_or_of_nobody_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "vectors.npz"
    KeptVectors(file).keep(["a"], [[1.0]], "minilm")
    with pytest.raises(BadInput, match="embeddings of minilm"):
        KeptVectors(file).keep(["b"], [[1.0]], "other")

    file.write_bytes(b"nothing")
    with pytest.raises(BadInput, match="no embeddings of ours"):
        KeptVectors(file)
