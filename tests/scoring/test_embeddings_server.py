"""Somebody else's embeddings server, over a real connection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest

from tests.adapters.scripted import Script, served
from tests.closing import closing_server
from watchtower.scoring.embeddings_server import EmbeddingsServer
from watchtower.scoring.measures.pieces import WORDS_PER_PIECE

PATH = "v1__embeddings"


def reply(*vectors: list[float]) -> dict[str, Any]:
    return {"object": "list", "data": [{"index": i, "embedding": v} for i, v in enumerate(vectors)]}


@pytest.fixture
def script() -> Iterator[Script]:
    script = Script(**{PATH: (200, reply([3.0, 4.0]))})
    with served(script):
        yield script


@pytest.fixture
async def server(script: Script) -> AsyncIterator[EmbeddingsServer]:
    server = EmbeddingsServer(script.url + "/v1", "minilm", api_key="sesame", timeout_seconds=5)
    yield server
    await server.close()


async def test_a_text_becomes_a_unit_vector(script: Script, server: EmbeddingsServer) -> None:
    answer = await server.embed(["hello"])
    assert answer.vectors is not None
    assert answer.vectors[0] == pytest.approx([0.6, 0.8])
    assert "minilm" in answer.encoder
    path, headers, body = script.asked[0]
    assert (path, body) == ("/v1/embeddings", {"model": "minilm", "input": ["hello"]})
    assert headers["authorization" if "authorization" in headers else "Authorization"] == "Bearer sesame"


async def test_a_long_text_is_the_mean_of_its_pieces(script: Script, server: EmbeddingsServer) -> None:
    script.answers["/v1/embeddings"] = (200, reply([1.0, 0.0], [0.0, 1.0]))
    answer = await server.embed([" ".join(["word"] * (WORDS_PER_PIECE + 10))])
    assert len(script.asked[0][2]["input"]) == 2
    assert answer.vectors is not None
    assert answer.vectors[0] == pytest.approx([0.5**0.5, 0.5**0.5])


async def test_answers_out_of_order_find_their_texts(script: Script, server: EmbeddingsServer) -> None:
    data = [{"index": 1, "embedding": [0.0, 1.0]}, {"index": 0, "embedding": [1.0, 0.0]}]
    script.answers["/v1/embeddings"] = (200, {"data": data})
    assert (await server.embed(["a", "b"])).vectors == [[1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize(
    ("status", "body", "because"),
    [
        (500, {"error": "secret text"}, "the embeddings server answered HTTP 500"),
        (401, "no", "the embeddings server answered HTTP 401"),
        (200, "<html>", "the embeddings server's answer is no list of embeddings"),
        (200, {"data": []}, "the embeddings server answered for other texts than were asked"),
        (200, reply([]), "the embeddings server answered for other texts than were asked"),
    ],
)
async def test_an_answer_of_no_use_is_unknown(
    script: Script, server: EmbeddingsServer, status: int, body: Any, because: str
) -> None:
    script.answers["/v1/embeddings"] = (status, body)
    answer = await server.embed(["secret text"])
    assert (answer.vectors, answer.because) == (None, because)


async def test_silence_and_absence_are_unknown(script: Script) -> None:
    script.answers["/v1/embeddings"] = (200, None)
    slow = EmbeddingsServer(script.url + "/v1", "m", timeout_seconds=0.2)
    assert (await slow.embed(["a"])).because == "the embeddings server did not answer in time"
    await slow.close()
    script.over.set()
    away = EmbeddingsServer("http://127.0.0.1:9/v1", "m")
    assert "cannot be reached" in (await away.embed(["a"])).because
    await away.close()


async def test_no_texts_ask_nobody(script: Script, server: EmbeddingsServer) -> None:
    assert (await server.embed([])).vectors == []
    assert script.asked == []


async def test_a_server_that_closes_just_when_it_is_asked_costs_no_answer() -> None:
    async with closing_server(msgspec.json.encode(reply([1.0, 0.0]))) as other:
        server = EmbeddingsServer(other.url, "m")
        answers = [await server.embed(["a"]) for _ in range(3)]
        await server.close()
    assert [answer.because for answer in answers if answer.vectors is None] == []
    assert other.connections == len(answers)


async def test_no_proxy_stands_between_us_and_a_server_on_this_machine(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    behind = EmbeddingsServer(script.url + "/v1", "m")
    assert (await behind.embed(["a"])).vectors is not None
    await behind.close()


async def test_an_address_that_is_none_is_unknown() -> None:
    nowhere = EmbeddingsServer("http://host:port/v1", "m")
    assert (await nowhere.embed(["a"])).because == "the embeddings server cannot be reached: InvalidURL"
    await nowhere.close()
