"""Real engines that stream otherwise: several tokens an event, drafted tokens, tool calls; and real clients.

In each form the relay's counts are what the client was told, and both are what the engine counted.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
import openai
import pytest
import pytest_asyncio

from tests.e2e.stack import free_port
from tests.real.conftest import Measured
from watchtower.clock import SystemClock
from watchtower.lab.simulator.vllm_cpu import engine as vllm
from watchtower.lab.simulator.vllm_cpu.vllm_process import running_vllm
from watchtower.services.relaying.relay_pool import RelayPool
from watchtower.settings import RelaySettings
from watchtower.vocabulary.facts import AnyFact, Closed, Ending, ExchangeNews, RelayFrame

pytestmark = [
    pytest.mark.real_vllm,
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="module"),
]
TOOLS: Final = ("--enable-auto-tool-choice", "--tool-call-parser", "hermes")
DRAFTS: Final = {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_max": 4, "prompt_lookup_min": 1}
FORMS: Final = {
    "an event for ten tokens, tool calls": ("--stream-interval", "10", *TOOLS),
    "drafted tokens": ("--speculative-config", json.dumps(DRAFTS), *TOOLS),
}
TOKENS: Final = 60
EXACT: Final[dict[str, Any]] = {"stream_options": {"include_usage": True, "continuous_usage_stats": True}}
USAGE: Final[dict[str, Any]] = {"stream_options": {"include_usage": True}}
REPEATING: Final[dict[str, Any]] = {"temperature": 0}
"""The likeliest words go round in circles, which a draft from the words before guesses right."""
WEATHER: Final[dict[str, Any]] = {
    "name": "weather",
    "parameters": {
        "type": "object",
        "properties": {"unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
        "required": ["unit"],
        "additionalProperties": False,
    },
}
CALL: Final = r'<tool_call>\n\{"name": "weather", "arguments": \{"unit": "(celsius|fahrenheit)"\}\}\n</tool_call>'


class Seen:
    """One exchange, as its facts tell it."""

    def __init__(self, news: list[ExchangeNews]) -> None:
        self.tokens = sum(some.first_tokens + sum(some.tokens) + some.more_tokens for some in news)
        self.reads = sum(len(some.tokens) for some in news) + 1
        self.estimated = any(some.estimated for some in news)
        (self.closed,) = (some.closed for some in news if some.closed is not None)

    def __repr__(self) -> str:
        return f"{self.tokens} in {self.reads} reads{', estimated' if self.estimated else ''}; {self.closed}"


class Before:
    """One relay worker before one engine."""

    def __init__(self, engine: str, relays: RelayPool, news: list[ExchangeNews]) -> None:
        self.engine, self._relays, self._news = engine, relays, news
        self._told = 0

    @property
    def url(self) -> str:
        return f"http://{self._relays.address}"

    def client(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0, timeout=60)

    async def ended(self, exchanges: int) -> list[Seen]:
        """The next so many, in the order of their opening."""
        async with asyncio.timeout(10):
            while sum(news.closed is not None for news in self._news) < exchanges:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        found: dict[str, list[ExchangeNews]] = {}
        for news in self._news:
            found.setdefault(news.id, []).append(news)
        self._news.clear()
        return [Seen(news) for news in found.values()]

    async def generated(self) -> int:
        """Tokens that the engine counts as generated so far."""
        await asyncio.sleep(0.3)  # its counters follow its answers
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            text = (await client.get(f"{self.engine}/metrics")).text
        return round(sum(map(float, re.findall(r"^vllm:generation_tokens_total\{.*?\} (\S+)$", text, re.M))))


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=FORMS.values(), ids=FORMS.keys())
async def before(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Before]:
    directory: Path = tmp_path_factory.mktemp("form")
    news: list[ExchangeNews] = []

    def keep(fact: AnyFact) -> None:
        if isinstance(fact, RelayFrame):
            news.extend(fact.news)

    clock = SystemClock()
    async with running_vllm(free_port(), directory / "vllm.log", clock, *vllm.LARGER, *request.param) as engine:
        relays = RelayPool(RelaySettings(listen="127.0.0.1:0"), engine.url, directory, keep, clock, drain_seconds=1)
        await relays.start()
        try:
            yield Before(engine.url, relays, news)
        finally:
            await relays.stop(leave_running=False)


def form(request: pytest.FixtureRequest) -> str:
    return str(request.node.callspec.id)


async def streamed(client: openai.AsyncOpenAI, **asked: Any) -> tuple[int, str]:
    """(completion tokens that usage told, finish reason) of a chat."""
    body: dict[str, Any] = {
        "model": vllm.MODEL,
        "messages": [{"role": "user", "content": "Tell me of the sea."}],
        "max_tokens": TOKENS,
        "stream": True,
        **asked,
    }
    told, finish = 0, ""
    async for chunk in await client.chat.completions.create(**body):
        told = chunk.usage.completion_tokens if chunk.usage else told
        finish = (chunk.choices[0].finish_reason or finish) if chunk.choices else finish
    return told, finish


async def test_continuous_usage_makes_every_count_exact(
    before: Before, request: pytest.FixtureRequest, measured: Measured
) -> None:
    began = await before.generated()
    body: dict[str, Any] = {"extra_body": {"ignore_eos": True, **(REPEATING if "drafted" in form(request) else {})}}
    async with before.client() as client:
        told = [await streamed(client, **EXACT, **body) for _ in range(4)]
    seen = await before.ended(4)
    assert [some.tokens for some in seen] == [tokens for tokens, _ in told]
    assert not any(some.estimated for some in seen)
    assert [(some.closed.ending, some.closed.completion_tokens) for some in seen] == [
        (Ending.COMPLETE, tokens) for tokens, _ in told
    ]
    tokens, reads = sum(some.tokens for some in seen), sum(some.reads for some in seen)
    assert tokens == await before.generated() - began
    assert tokens > 1.3 * reads, "this engine sends several tokens an event"
    measured(f"{form(request)}: {tokens} tokens told by usage and by the engine, as many counted, in {reads} reads")


async def test_usage_at_the_end_is_the_total(
    before: Before, request: pytest.FixtureRequest, measured: Measured
) -> None:
    async with before.client() as client:
        told, finish = await streamed(client, **USAGE, extra_body={"ignore_eos": True})
    (seen,) = await before.ended(1)
    assert (seen.closed.completion_tokens, seen.closed.finish_reason) == (told, finish)
    assert seen.closed.ending is Ending.COMPLETE
    assert seen.estimated
    assert 0 < seen.tokens <= told
    measured(f"{form(request)}: without continuous usage {seen.tokens} of {told} tokens were counted, as estimated")


@pytest.mark.parametrize("options", [USAGE, EXACT], ids=["usage", "continuous usage"])
@pytest.mark.parametrize("forced", [True, False], ids=["named", "by the parser"])
async def test_a_tool_call_is_complete_and_counted(before: Before, options: dict[str, Any], forced: bool) -> None:
    tools: list[Any] = [{"type": "function", "function": WEATHER}]
    choice: dict[str, Any] = (
        {"tool_choice": {"type": "function", "function": {"name": "weather"}}}
        if forced
        else {"tool_choice": "auto", "extra_body": {"structured_outputs": {"regex": CALL}}}
    )
    async with before.client() as client:
        told, finish = await streamed(client, tools=tools, **choice, **options)
    (seen,) = await before.ended(1)
    assert (seen.closed.ending, seen.closed.completion_tokens) == (Ending.COMPLETE, told)
    assert seen.closed.finish_reason == finish
    assert 0 < seen.tokens <= told
    if options is EXACT:
        assert seen.tokens == told


async def test_responses_of_the_openai_client_tell_their_usage(before: Before) -> None:
    async with before.client() as client:
        told: list[int] = []
        asked: dict[str, Any] = {"model": vllm.MODEL, "input": "Tell me of the sea.", "max_output_tokens": TOKENS}
        async for event in await client.responses.create(**asked, stream=True):
            if event.type in ("response.completed", "response.incomplete") and event.response.usage is not None:
                told.append(event.response.usage.output_tokens)
        whole = await client.responses.create(**asked)
        assert whole.usage is not None
        told.append(whole.usage.output_tokens)
    seen = await before.ended(2)
    assert [some.closed.completion_tokens for some in seen] == told
    assert [some.closed.ending for some in seen] == [Ending.COMPLETE] * 2


async def test_messages_of_the_anthropic_client_tell_their_usage(before: Before) -> None:
    script = Path(__file__).parent / "anthropic_client.py"
    process = await asyncio.create_subprocess_exec(
        str(vllm.venv() / "bin/python"), str(script), before.url, stdout=asyncio.subprocess.PIPE, stderr=sys.stderr
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    told = [json.loads(line) for line in out.splitlines()]
    seen = await before.ended(len(told))
    assert len(told) == 3
    closed: list[Closed] = [some.closed for some in seen]
    assert [(some.prompt_tokens, some.completion_tokens) for some in closed] == [
        (some["input"], some["output"]) for some in told
    ]
    assert [some.ending for some in closed] == [Ending.COMPLETE] * len(told)
