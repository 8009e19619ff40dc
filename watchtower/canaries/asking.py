"""One reference asked again: which requests that takes, and what they cost. At most three, all greedy.

The answer with a fresh salt is computed anew. The teacher-forced one reads a blessed answer's log-probabilities for one
generated token. The cached one keeps its salt for the life of a set, so that it reads blocks of the prefix cache that
earlier rounds filled: corrupt or stale ones show in it alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from watchtower.settings import ReferenceSettings
from watchtower.vocabulary.references import EngineAnswer, Question, Reference, ReferenceSet

Ask = Callable[[Question], Awaitable[EngineAnswer]]

TOKENS_PER_CHARACTER = 0.5
"""Of a question whose tokens the engine does not tell: a high guess, since it only bounds cost."""


@dataclass(frozen=True, slots=True)
class Replies:
    """What came back for one reference."""

    fresh: EngineAnswer
    forced: EngineAnswer | None = None
    """None: not asked for, the engine gave no log-probabilities at capture."""
    cached: EngineAnswer | None = None

    @property
    def because(self) -> str:
        """Why there is nothing to compare."""
        return self.fresh.because or (self.forced.because if self.forced else "")

    @property
    def tokens(self) -> int:
        return sum(answer.tokens for answer in (self.fresh, self.forced, self.cached) if answer is not None)


class Asking:
    """How this configuration puts its questions."""

    def __init__(self, settings: ReferenceSettings, ask: Ask, rank: int = -1) -> None:
        """``rank``: the data-parallel rank that is asked; −1: whichever the engine chooses."""
        self._settings = settings
        self._ask = ask
        self._rank = rank

    def of(self, rank: int) -> Asking:
        """The same questions to one data-parallel rank."""
        return Asking(self._settings, self._ask, rank)

    def question(self, text: str, salt: str) -> Question:
        knobs = self._settings
        plain = knobs.template == "plain"
        return Question(
            text=text,
            plain=plain,
            salt=salt,
            max_tokens=knobs.max_tokens,
            rank=self._rank,
            seconds=knobs.deadline_seconds,
        )

    async def say(self, text: str, salt: str) -> EngineAnswer:
        return await self._ask(self.question(text, salt))

    async def force(self, prompt: list[int], answer: list[int], salt: str) -> EngineAnswer:
        """Log-probabilities of ``answer`` alone."""
        seconds = self._settings.deadline_seconds
        heard = await self._ask(Question(token_ids=[*prompt, *answer], salt=salt, rank=self._rank, seconds=seconds))
        return heard if heard.because else EngineAnswer(logprobs=heard.logprobs[len(prompt) :], tokens=heard.tokens)

    async def again(self, reference: Reference, salt: str, cached_salt: str = "") -> Replies:
        """Ask ``reference`` again. ``cached_salt``: also in a way that may read the prefix cache."""
        forced = None
        if reference.logprobs:
            forced = await self.force(reference.prompt_token_ids, reference.answer_token_ids, f"{salt}-forced")
            if forced.because:
                return Replies(EngineAnswer(because=forced.because), forced)
        fresh = await self.say(reference.prompt.text, salt)
        if fresh.because or not cached_salt:
            return Replies(fresh, forced)
        return Replies(fresh, forced, await self.say(reference.prompt.text, cached_salt))

    def cost(self, reference: Reference, *, cached: bool) -> int:
        """Tokens that asking ``reference`` once may take."""
        asked = len(reference.prompt_token_ids) or round(len(reference.prompt.text) * TOKENS_PER_CHARACTER)
        once = asked + self._settings.max_tokens
        forced = asked + len(reference.answer_token_ids) + 1 if reference.logprobs else 0
        return once * (2 if cached else 1) + forced

    def cache_checked(self, references: ReferenceSet) -> frozenset[str]:
        """Ids of the references with the longest questions: only whole blocks of a prefix are cached."""
        longest = sorted(references.references, key=lambda reference: -len(reference.prompt.text))
        return frozenset(reference.prompt.id for reference in longest[: self._settings.cache_checks])
