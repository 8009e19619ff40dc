"""`watchtower run` before a real vLLM, a recorder on either side: every byte of every connection is the same."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import openai
import pytest
import pytest_asyncio

from tests.e2e.stack import Stack
from tests.real.conftest import Measured
from tests.wire import Recorder, paired

pytestmark = [pytest.mark.real_vllm, pytest.mark.timeout(600)]
MODEL = "tiny"
STREAMS = 4
HANGS_UP = "hangs up"
LAST_CHUNK = b"0\r\n\r\n"
"""The OpenAI client's own iteration over a stream hangs up after ``[DONE]``: the chunk that ends the body may not reach
it any more. Reading the response by lines reads it to its end."""


@pytest_asyncio.fixture
async def between(stack: Stack, tmp_path: Path) -> AsyncIterator[tuple[Recorder, Recorder]]:
    """client → recorder → relay of a second, observing `watchtower run` → recorder → the engine."""
    engine = urlsplit(stack.engine)
    assert engine.hostname is not None and engine.port is not None
    behind = await Recorder(engine.hostname, engine.port).start()
    observer = Stack(
        tmp_path,
        engine={"url": f"http://127.0.0.1:{behind.port}"},
        supervisor={"kind": "none", "command": []},
        remediation={"mode": "observe"},
    )
    try:
        await asyncio.to_thread(observer.start)
        before = await Recorder("127.0.0.1", observer.relay_port).start()
        yield before, behind
        await before.stop()
    finally:
        await asyncio.to_thread(observer.end)
        await behind.stop()


def last_usage(lines: list[str]) -> int:
    """Completion tokens that the last event of a whole stream tells. Raises AssertionError for any other stream."""
    data = [line.removeprefix("data: ") for line in lines if line]
    assert data[-1] == "[DONE]"
    return int(json.loads(data[-2])["usage"]["completion_tokens"])


def openai_client(url: str) -> int:
    """Every shape of answer on one kept connection, then a stream left early; how many requests."""
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=60) as client:
        chat, streamed = client.chat.completions, client.chat.completions.with_streaming_response
        assert client.models.list().data[0].id == MODEL
        whole = chat.create(model=MODEL, messages=[{"role": "user", "content": "whole"}], max_tokens=8)
        assert whole.usage is not None and whole.usage.completion_tokens == 8
        with pytest.raises(openai.NotFoundError):
            chat.create(model="no-such-model", messages=[{"role": "user", "content": "refused"}])
        with streamed.create(
            model=MODEL,
            messages=[{"role": "user", "content": "Grüße, 漢字, 🜂\n\n\u2028"}],
            max_tokens=8,
            stream=True,
            stream_options={"include_usage": True},
        ) as answer:
            assert last_usage(list(answer.iter_lines())) == 8
        with streamed.create(
            model=MODEL,
            messages=[{"role": "user", "content": "continuous"}],
            max_tokens=8,
            logprobs=True,
            n=2,
            stream=True,
            extra_body={"stream_options": {"include_usage": True, "continuous_usage_stats": True}},
        ) as answer:
            assert last_usage(list(answer.iter_lines())) == 16
        with client.completions.with_streaming_response.create(
            model=MODEL, prompt="text", max_tokens=200, stream=True
        ) as answer:
            assert list(answer.iter_lines())[-2:] == ["data: [DONE]", ""]
        chunks = chat.create(model=MODEL, messages=[{"role": "user", "content": HANGS_UP}], max_tokens=8, stream=True)
        assert [chunk.choices[0].finish_reason for chunk in chunks][-1] == "length"
    return 7


async def async_openai_client(url: str) -> int:
    """Concurrent streams, twice over, so that the second ones find the first ones' connections; how many."""
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=60) as client:

        async def stream(number: int) -> None:
            async with client.chat.completions.with_streaming_response.create(
                model=MODEL,
                messages=[{"role": "user", "content": f"stream {number}"}],
                max_tokens=64,
                stream=True,
                stream_options={"include_usage": True},
            ) as answer:
                assert last_usage([line async for line in answer.iter_lines()]) > 0

        for number in range(2):
            await asyncio.gather(*(stream(number * STREAMS + place) for place in range(STREAMS)))
    return 2 * STREAMS


async def curl(*arguments: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *("curl", "--silent", "--show-error", "--fail", "--no-buffer", "--noproxy", "*", "--max-time", "60"),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, problem = await process.communicate()
    assert process.returncode == 0, problem.decode()
    return out


async def curls(url: str) -> int:
    """Two streams on one connection; then one whose request comes in chunks after a 100 Continue; how many."""

    def stream(prompt: str) -> list[str]:
        body = {"model": MODEL, "prompt": prompt, "max_tokens": 32, "stream": True}
        return ["-H", "content-type: application/json", "-d", json.dumps(body), f"{url}/v1/completions"]

    answers = await curl(*stream("curl, first"), "--next", "--silent", "--fail", "--no-buffer", *stream("curl, second"))
    assert answers.count(b"data: [DONE]\n\n") == 2
    careful = ["-H", "expect: 100-continue", "-H", "transfer-encoding: chunked", *stream("curl, in chunks")]
    assert (await curl(*careful)).endswith(b"data: [DONE]\n\n")
    return 3


async def test_what_clients_and_engine_say_to_each_other_is_not_changed_by_one_byte(
    between: tuple[Recorder, Recorder], measured: Measured
) -> None:
    before, behind = between
    url = f"http://127.0.0.1:{before.port}"
    requests = sum(await asyncio.gather(asyncio.to_thread(openai_client, url), async_openai_client(url), curls(url)))

    pairs = paired(before, behind)
    for near, far in pairs:
        lost = far.received.removeprefix(near.received)
        assert lost == b"" or (lost == LAST_CHUNK and HANGS_UP.encode() in near.sent)
    asked = [near.sent.count(b" HTTP/1.1\r\n") for near, _ in pairs]
    connections, sent = len(pairs), sum(len(near.sent) for near, _ in pairs)
    received = sum(len(near.received) for near, _ in pairs)
    assert len({bytes(near.sent) for near, _ in pairs}) == connections, "each could be paired with one only"
    assert sum(asked) == requests
    assert max(asked) >= 7, "connections are kept alive"
    assert sum(near.received.count(b"data: ") for near, _ in pairs) > requests
    measured(
        f"bytes: {requests} requests on {connections} connections of the OpenAI client and curl; "
        f"{sent} bytes sent and {received} received, equal on both sides of the relay"
    )
