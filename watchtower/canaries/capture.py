"""Making references: ask a healthy engine each question K times, learn how much its answers differ, keep the answers.

The repeats of one question are spread over the whole capture, not asked in a row: batches, and with them the
arithmetic, should differ as they will later. A question that stays without an answer is asked again a few times: a
restart of ours or the engine's costs a moment, not the capture. One that is never answered ends it with the reason, and
nothing is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from watchtower.canaries.asking import Asking
from watchtower.ports import Clock
from watchtower.vocabulary.errors import Refused
from watchtower.vocabulary.references import EngineAnswer, Prompt

MOST_TRIES: Final = 4
AGAIN_SECONDS: Final = 2.0
"""Between two tries of one question."""


@dataclass(slots=True)
class Collected:
    """Everything that was heard for one question."""

    prompt: Prompt
    answers: list[EngineAnswer] = field(default_factory=list)
    logprobs: list[list[float | None]] = field(default_factory=list)
    """Of the first answer, once for every repeat; empty where the engine gives none."""

    @property
    def template_changed(self) -> bool:
        """The engine wrote the same question out in two ways while we asked."""
        return len({tuple(answer.prompt_token_ids) for answer in self.answers}) > 1


class Capture:
    """One capture; ``done`` of ``total`` requests for whoever shows progress."""

    def __init__(self, asking: Asking, clock: Clock, *, concurrency: int, busy: Callable[[], str]) -> None:
        """``busy()``: why the engine should not be asked right now; "" when it may."""
        self._asking = asking
        self._clock = clock
        self._concurrency = concurrency
        self._busy = busy
        self.done = 0
        self.total = 0
        self.tokens = 0
        self.no_logprobs = ""
        """Why no log-probabilities could be read; "" while they can."""

    async def run(self, prompts: list[Prompt], repeats: int) -> list[Collected]:
        """Raises Refused, with the reason, when the engine is busy or an answer does not come."""
        if because := self._busy():
            raise Refused(because)
        self.total = 2 * repeats * len(prompts)
        collected = [Collected(prompt) for prompt in prompts]
        for repeat in range(repeats):
            left = iter(collected)  # shared: whoever is free takes the next question
            await asyncio.gather(*(self._work(left, repeat) for _ in range(self._concurrency)))
        return collected

    async def _work(self, left: Iterator[Collected], repeat: int) -> None:
        for question in left:
            await self._ask(question, repeat)

    async def _ask(self, question: Collected, repeat: int) -> None:
        salt = f"capture-{repeat}-{question.prompt.id}-{self._clock.now().wall:.3f}"
        heard = await self._asking.say(question.prompt.text, salt)
        for _ in range(MOST_TRIES - 1):
            if not heard.because:
                break
            await self._clock.sleep(AGAIN_SECONDS)
            heard = await self._asking.say(question.prompt.text, salt)
        if heard.because:
            raise Refused(f"the engine did not answer question {question.prompt.id}: {heard.because}")
        question.answers.append(heard)
        self._count(heard)
        first = question.answers[0]
        if first.prompt_token_ids and first.token_ids and not self.no_logprobs:
            forced = await self._asking.force(first.prompt_token_ids, first.token_ids, f"{salt}-forced")
            self.no_logprobs = forced.because
            if not forced.because:
                question.logprobs.append(forced.logprobs)
            self._count(forced)
        else:
            self.no_logprobs = self.no_logprobs or "the engine gives no token ids"
            self._count(EngineAnswer())

    def _count(self, heard: EngineAnswer) -> None:
        self.done += 1
        self.tokens += heard.tokens
