"""A client that streams chats and never hides a failure: each request is sent once, and never again.

A stream counts as served only with both its finish reason and its ``[DONE]``, with at least one token, and not
aborted by the engine. Everything else is a failure with a kind. A request belongs to the phase in which it *ended*,
because that is when the user felt it. The client stops by itself: after so many seconds or so many requests.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec

from watchtower.lab.simulator.chance import draw, pick
from watchtower.ports import Clock

_ASKS = (
    "Explain {} to a curious twelve-year-old.",
    "Write three tips about {} for a beginner.",
    "What goes wrong most often with {}, and why?",
    "Compare {} with how it was done fifty years ago.",
    "Draft a short note to a colleague about {}.",
    "List what you would check first when {} fails.",
    "Tell a short story in which {} saves the day.",
    "Summarise the case for and against {}.",
)
_SUBJECTS = (
    *("bread that does not rise", "a lighthouse in fog", "compound interest", "sorting a very large file"),
    *("night trains", "a leaking roof", "pruning apple trees", "the tides", "learning the cello"),
    *("a shared calendar", "writing good tests", "city bicycles", "the first day in a new job", "glaciers"),
    *("a power cut", "planning a small wedding", "reading a balance sheet", "wild mushrooms", "postcards"),
    *("backing up photographs", "a noisy neighbour", "vaccination", "repairing a clock", "a long queue"),
)


def prompt(seed: int, number: int) -> str:
    """The ``number``-th prompt of this seed; all different."""
    ask, subject = _ASKS[pick(len(_ASKS), seed, number, "ask")], _SUBJECTS[pick(len(_SUBJECTS), seed, number, "of")]
    return f"{ask.format(subject)} (Question {number + 1}.)"


class Failure(Exception):
    """One request that a user would call failed; ``str()`` is its kind."""


@dataclass(slots=True)
class PhaseCounts:
    requests: int = 0
    tokens: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    """How many by kind: connect, reset, timeout, http_503, truncated, unfinished, empty, abort, error_event."""

    @property
    def failed_requests(self) -> int:
        return self.failed.total()


@dataclass(frozen=True, slots=True)
class TrafficPlan:
    """How much of what. ``most_requests`` and ``most_seconds`` are where it stops by itself."""

    url: str
    model: str
    concurrency: int = 8
    max_tokens: int = 48
    think_seconds: float = 0.2
    """Mean pause of one caller between two requests."""
    request_seconds: float = 120.0
    """Longest time of one request; beyond it the caller gives up: ``timeout``."""
    most_requests: int = 5000
    most_seconds: float = 600.0
    seed: int = 0


class ChatTraffic:
    """``await run()`` once; ``phase`` may be changed while it runs."""

    def __init__(self, plan: TrafficPlan, clock: Clock, client: httpx.AsyncClient) -> None:
        self.phase = "baseline"
        self.phases: dict[str, PhaseCounts] = {}
        self.open = 0
        """Requests in flight."""
        self._plan = plan
        self._clock = clock
        self._client = client
        self._sent = 0
        self._stopping = asyncio.Event()

    def counts(self, phase: str) -> PhaseCounts:
        return self.phases.setdefault(phase, PhaseCounts())

    def stop(self) -> None:
        """Send no further request; ``run`` returns when those in flight have ended."""
        self._stopping.set()

    async def run(self) -> None:
        until = self._clock.now().boot + self._plan.most_seconds
        await asyncio.gather(*(self._caller(number, until) for number in range(self._plan.concurrency)))

    async def _caller(self, caller: int, until: float) -> None:
        await self._pause(self._plan.think_seconds * draw(self._plan.seed, caller, "start"))
        while not self._stopping.is_set() and self._clock.now().boot < until and self._sent < self._plan.most_requests:
            number, self._sent = self._sent, self._sent + 1
            self.open += 1
            try:
                tokens, failure = await self._ask_once(prompt(self._plan.seed, number)), ""
            except Failure as failed:
                tokens, failure = 0, str(failed)
            finally:
                self.open -= 1
            counts = self.counts(self.phase)
            counts.requests += 1
            counts.tokens += tokens
            if failure:
                counts.failed[failure] += 1
            await self._pause(self._plan.think_seconds * 2 * draw(self._plan.seed, number, "think"))

    async def _pause(self, seconds: float) -> None:
        """Sleep, but not past a stop."""
        await _first_of(self._clock.sleep(seconds), self._stopping.wait())

    async def _ask_once(self, text: str) -> int:
        """The tokens of one streamed answer. Raises Failure."""
        body = {
            "model": self._plan.model,
            "messages": [{"role": "user", "content": text}],
            "max_tokens": self._plan.max_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        try:
            async with (
                asyncio.timeout(self._plan.request_seconds),
                self._client.stream("POST", f"{self._plan.url}/v1/chat/completions", json=body, timeout=None) as answer,
            ):
                if answer.status_code != 200:
                    raise Failure(f"http_{answer.status_code}")
                return await _read_stream(answer)
        except TimeoutError as exc:
            raise Failure("timeout") from exc
        except httpx.ConnectError as exc:
            raise Failure("connect") from exc
        except httpx.RemoteProtocolError as exc:
            raise Failure("truncated") from exc
        except httpx.TransportError as exc:
            raise Failure("reset") from exc


class _StreamChoice(msgspec.Struct):
    finish_reason: str | None = None


class _StreamUsage(msgspec.Struct):
    completion_tokens: int = 0


class _Event(msgspec.Struct):
    choices: list[_StreamChoice] = []
    usage: _StreamUsage | None = None
    error: Any = None


_decode = msgspec.json.Decoder(_Event).decode


async def _read_stream(answer: httpx.Response) -> int:
    """Completion tokens that the final usage tells. Raises Failure for any stream that is not a whole one."""
    finish, tokens, done = "", 0, False
    async for line in answer.aiter_lines():
        if not line.startswith("data:"):
            continue
        data = line[5:].strip()
        if data == "[DONE]":
            done = True
            continue
        try:
            event = _decode(data)
        except msgspec.DecodeError as exc:
            raise Failure("malformed") from exc
        if event.error is not None:
            raise Failure("error_event")
        if event.usage is not None:
            tokens = event.usage.completion_tokens
        for choice in event.choices:
            finish = choice.finish_reason or finish
    if not done:
        raise Failure("truncated")
    if finish not in ("stop", "length"):
        raise Failure(finish or "unfinished")
    if tokens < 1:
        raise Failure("empty")
    return tokens


async def _first_of(*waits: Awaitable[object]) -> None:
    futures = [asyncio.ensure_future(wait) for wait in waits]  # noqa: TID251 — all end inside this function
    try:
        await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for future in futures:
            future.cancel()
        await asyncio.gather(*futures, return_exceptions=True)
