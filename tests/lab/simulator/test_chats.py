import asyncio
import json
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from watchtower.clock import SystemClock
from watchtower.lab.simulator.chats import ChatTraffic, TrafficPlan, prompt

GOOD = [
    '{"choices":[{"delta":{"role":"assistant"},"finish_reason":null}]}',
    '{"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}',
    '{"choices":[],"usage":{"completion_tokens":7}}',
    "[DONE]",
]


class Body(httpx.AsyncByteStream):
    def __init__(self, parts: list[str], problem: Exception | None = None) -> None:
        self._parts, self._problem = parts, problem

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            yield f"data: {part}\n\n".encode()
        if self._problem is not None:
            raise self._problem


Handler = Callable[[httpx.Request], httpx.Response]


async def sent(handler: Handler, **plan: float) -> ChatTraffic:
    async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as client:
        options = {"concurrency": 1, "most_requests": 1, "think_seconds": 0.001, **plan}
        traffic = ChatTraffic(TrafficPlan("http://engine", "tiny", **options), SystemClock(), client)  # type: ignore[arg-type]
        await traffic.run()
        return traffic


def streaming(parts: list[str], problem: Exception | None = None) -> Handler:
    return lambda _: httpx.Response(200, stream=Body(parts, problem))


def test_prompts_are_all_different_and_the_same_for_the_same_seed() -> None:
    prompts = [prompt(0, number) for number in range(500)]
    assert len(set(prompts)) == 500 and prompts == [prompt(0, number) for number in range(500)]
    assert prompt(1, 0) != prompt(0, 0)


async def test_a_whole_stream_counts_as_served_with_its_tokens() -> None:
    counts = (await sent(streaming(GOOD))).counts("baseline")
    assert (counts.requests, counts.tokens, counts.failed_requests) == (1, 7, 0)


@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        (GOOD[:3], "truncated"),
        ([GOOD[0], GOOD[2], GOOD[3]], "unfinished"),
        ([GOOD[0], GOOD[1], GOOD[3]], "empty"),
        ([GOOD[0], GOOD[1].replace("stop", "abort"), *GOOD[2:]], "abort"),
        ([GOOD[0], '{"error":{"message":"m"}}', "[DONE]"], "error_event"),
        ([GOOD[0], "{nonsense"], "malformed"),
        ([], "truncated"),
    ],
)
async def test_a_stream_without_its_proper_end_is_a_failure(parts: list[str], kind: str) -> None:
    assert (await sent(streaming(parts))).counts("baseline").failed == {kind: 1}


@pytest.mark.parametrize(
    ("problem", "kind"),
    [(httpx.RemoteProtocolError("cut"), "truncated"), (httpx.ReadError("reset"), "reset")],
)
async def test_a_connection_that_dies_in_mid_answer_is_a_failure(problem: Exception, kind: str) -> None:
    assert (await sent(streaming(GOOD[:2], problem))).counts("baseline").failed == {kind: 1}


async def test_a_refusal_is_sent_once_and_never_again() -> None:
    seen: list[bytes] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        seen.append(request.content)
        return httpx.Response(503)

    counts = (await sent(refuse, most_requests=3)).counts("baseline")
    assert counts.failed == {"http_503": 3} and counts.requests == 3
    assert len({json.loads(body)["messages"][0]["content"] for body in seen}) == 3 == len(seen)


async def test_an_engine_that_never_answers_is_a_timeout() -> None:
    class Silent(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            await asyncio.sleep(60)
            yield b""

    counts = (await sent(lambda _: httpx.Response(200, stream=Silent()), request_seconds=0.05)).counts("baseline")
    assert counts.failed == {"timeout": 1}


async def test_a_request_belongs_to_the_phase_in_which_it_ended() -> None:
    traffic: list[ChatTraffic] = []

    class Turning(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            traffic[0].phase = "slow"
            for part in GOOD:
                yield f"data: {part}\n\n".encode()

    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Turning()))
    async with httpx.AsyncClient(transport=transport) as client:
        traffic.append(ChatTraffic(TrafficPlan("http://engine", "tiny", 1, most_requests=1), SystemClock(), client))
        await traffic[0].run()
    assert traffic[0].counts("slow").requests == 1 and "baseline" not in traffic[0].phases


async def test_it_stops_by_itself_after_its_time_and_its_count() -> None:
    by_count = await sent(streaming(GOOD), concurrency=3, most_requests=10)
    assert by_count.counts("baseline").requests == 10 and by_count.open == 0
    by_time = await sent(streaming(GOOD), most_requests=100000, most_seconds=0.1)
    assert 0 < by_time.counts("baseline").requests < 1000
