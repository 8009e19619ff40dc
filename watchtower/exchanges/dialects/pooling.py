"""Everything that a model computes of a text without writing one: vectors, scores, ranks, classes."""

from __future__ import annotations

from typing import Final

from watchtower.exchanges.dialect import Dialect, Reader
from watchtower.exchanges.exchange import Exchange
from watchtower.exchanges.first_bytes import Shape
from watchtower.exchanges.openai_requests import describe_request
from watchtower.exchanges.whole_answers import WholeAnswer

POOLING_SHAPE: Final = Shape(
    keys=frozenset({"data", "embedding", "embeddings", "results", "scores", "outputs"}),
    events=WholeAnswer,
    body=WholeAnswer,
)


def open_whole(exchange: Exchange, content_type: str) -> Reader:
    """Whatever it is, it has no tokens. Vectors may come as bytes."""
    return WholeAnswer(exchange, is_json=content_type in ("", "application/json") or content_type.startswith("text/"))


POOLING: Final = Dialect(
    name="pooling",
    routes=(
        *("/embeddings", "/embedding", "/embed", "/pooling", "/encode", "/infer"),
        *("/rerank", "/reranking", "/score", "/generative_scoring"),
        *("/classify", "/decisions", "/systemone"),
    ),
    describe=describe_request,
    open=open_whole,
    timed=False,
)
