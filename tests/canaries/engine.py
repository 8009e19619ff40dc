"""An engine for canaries, in memory: the simulator's language behind ``ask``, with faults as plain attributes."""

from __future__ import annotations

from collections.abc import Callable

from watchtower.lab.simulator import language
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.references import EngineAnswer, Prompt, Question

PROMPTS = [Prompt(id=f"q{n}", text=f"Question number {n}: " + "why is that so? " * (n + 1)) for n in range(12)]


class Engine:
    """Answers as the simulated model does; remembers what it was asked and how many asked at once."""

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.checkpoint = "good"
        self.rounded = False
        self.stale_salts: tuple[str, ...] = ()
        """Prefixes of salts under which the cache answers from corrupt blocks."""
        self.template = ""
        self.because = ""
        self.silences = 0
        """So many of the next questions stay without an answer."""
        self.token_ids = True
        self.says: Callable[[str], str] | None = None
        self.asked: list[Question] = []
        self.at_once = self.most_at_once = 0

    async def ask(self, question: Question) -> EngineAnswer:
        self.asked.append(question)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self.clock.sleep(0.05)
        self.at_once -= 1
        if self.silences:
            self.silences -= 1
            return EngineAnswer(because="cannot connect")
        if self.because:
            return EngineAnswer(because=self.because)
        if question.token_ids:
            found = language.logprobs(self.checkpoint, question.token_ids, rounded=self.rounded)
            return EngineAnswer(logprobs=[None, *found], tokens=len(question.token_ids) + 1)
        return self._said(question)

    def _said(self, question: Question) -> EngineAnswer:
        stale = any(question.salt.startswith(salt) for salt in self.stale_salts)
        voice = f"{self.checkpoint}/stale" if stale else self.checkpoint
        pieces = language.answer(voice, question.text)[: question.max_tokens]
        prompt = language.prompt_tokens(self.template + question.text)
        return EngineAnswer(
            text=self.says(question.text) if self.says else "".join(pieces),
            finish_reason="length",
            token_ids=[language.token_id(piece) for piece in pieces] if self.token_ids else [],
            prompt_token_ids=prompt if self.token_ids else [],
            tokens=len(prompt) + len(pieces),
        )
