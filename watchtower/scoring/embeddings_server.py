"""An encoder that is somebody else's: any server with OpenAI's ``POST /v1/embeddings``.

It runs in the daemon's loop, since it only waits. The server truncates by its own rules, so long answers are cut by
words and averaged here. Nothing is retried: the next round asks again. Neither key, address nor text enters a message.
"""

from __future__ import annotations

from collections.abc import Sequence

import httpx
import msgspec
import numpy as np

from watchtower.http_clients import CLOSE, NO_KEEP_ALIVE, is_local
from watchtower.scoring.measures.pieces import WORDS_PER_PIECE, cut_by_words
from watchtower.vocabulary.embeddings import Embedding
from watchtower.vocabulary.errors import UNREADABLE

BATCH_PIECES = 64


class _Item(msgspec.Struct):
    index: int
    embedding: list[float]


class _Reply(msgspec.Struct):
    data: list[_Item]


class EmbeddingsServer:
    """An ``Encoder``."""

    def __init__(
        self,
        url: str,
        model: str,
        *,
        api_key: str = "",
        timeout_seconds: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """``url`` is the base that ends before ``/embeddings``, e.g. ``http://127.0.0.1:8080/v1``."""
        self._http = httpx.AsyncClient(
            headers={**CLOSE, **({"Authorization": f"Bearer {api_key}"} if api_key else {})},
            timeout=timeout_seconds,
            limits=NO_KEEP_ALIVE,
            trust_env=not is_local(url),  # an egress proxy is welcome, but not between us and ourselves
            transport=transport,
        )
        self._url = url.rstrip("/") + "/embeddings"
        self._model = model
        self._identity = f"{model}/server/{WORDS_PER_PIECE} words, overlapping, mean/cosine"

    async def embed(self, texts: Sequence[str], *, live: bool = False) -> Embedding:
        cuts = [cut_by_words(text) for text in texts]
        flat = [piece or " " for pieces in cuts for piece in pieces]
        rows: list[list[float]] = []
        for first in range(0, len(flat), BATCH_PIECES):
            answer = await self._asked(flat[first : first + BATCH_PIECES])
            if isinstance(answer, str):
                return Embedding(None, answer)
            rows += answer
        if len({len(row) for row in rows}) > 1:
            return Embedding(None, "the embeddings server answers vectors of unlike length")
        return Embedding(_averaged(rows, [len(pieces) for pieces in cuts]), encoder=self._identity)

    async def run(self) -> None:
        """Nothing to keep alive."""

    async def close(self) -> None:
        await self._http.aclose()

    async def _asked(self, pieces: list[str]) -> list[list[float]] | str:
        """Vectors in order, or why there are none."""
        try:
            reply = await self._http.post(self._url, json={"model": self._model, "input": pieces})
        except httpx.TimeoutException:
            return "the embeddings server did not answer in time"
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            return f"the embeddings server cannot be reached: {type(problem).__name__}"
        if reply.status_code != httpx.codes.OK:
            return f"the embeddings server answered HTTP {reply.status_code}"
        try:
            items = msgspec.json.decode(reply.content, type=_Reply).data
        except UNREADABLE:
            return "the embeddings server's answer is no list of embeddings"
        items.sort(key=lambda item: item.index)
        if [item.index for item in items] != list(range(len(pieces))) or not all(item.embedding for item in items):
            return "the embeddings server answered for other texts than were asked"
        return [item.embedding for item in items]


def _averaged(rows: list[list[float]], counts: list[int]) -> list[list[float]]:
    """The mean of each text's unit vectors, as a unit vector."""
    vectors: list[list[float]] = []
    taken = 0
    for count in counts:
        piece = np.asarray(rows[taken : taken + count], dtype=np.float64)
        taken += count
        mean = (piece / np.maximum(np.linalg.norm(piece, axis=1, keepdims=True), 1e-12)).mean(axis=0)
        vectors.append((mean / max(float(np.linalg.norm(mean)), 1e-12)).tolist())
    return vectors
