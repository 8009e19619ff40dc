"""References: questions of our own, the blessed answers to them, and what is said when they are asked again.

A reference holds what the engine answered to *our* question; no user's prompt or answer is ever one. The key names
what was **declared**, never what was observed: a swapped checkpoint must be judged by the old references, not get new
ones. The encoder is part of a set but not of its key, so that one without an encoder still judges log-probabilities.
"""

from __future__ import annotations

from hashlib import sha256

import msgspec

FORMAT = 1
"""Version of ``ReferenceSet`` as stored and exported."""
FEWEST_REPEATS = 3
MOST_REPEATS = 20
MOST_PROMPTS = 500

CAUSES: dict[str, str] = {
    "weights": "other weights than the blessed ones: nearly every token moved, and by a lot",
    "numerics": "the weights compute differently (quantization, kernel, other hardware): all tokens moved by a little",
    "kv_cache": "the prefix cache is corrupt or stale: only answers that read it differ",
    "template": "the chat template or tokenizer changed: the same question reaches the model as other tokens",
}
"""``cause`` of a ``ReferenceAnswered`` or a ``CanaryRound`` → what a person reads."""


class Prompt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One question of ours."""

    id: str
    text: str


class ReferenceKey(msgspec.Struct, frozen=True, kw_only=True):
    """What must be equal for answers to be comparable."""

    model: str
    """The declared model (``engine.model``); "" where none is declared."""
    checkpoint: str = ""
    """The declared weights (``engine.checkpoint``), never those that the engine says it has; "" where none are
    declared, and of sets from before this was noted."""
    template: str
    """How a question is put: ``chat`` (the engine's template) or ``plain``."""
    sampling: str
    """Greedy, and how many tokens at most."""
    prompts: str
    """Digest of the prompt set."""

    def differences(self, other: ReferenceKey) -> str:
        """Where ``other`` differs, for a sentence; "" when it does not."""
        pairs = ((name, getattr(self, name), getattr(other, name)) for name in self.__struct_fields__)
        return ", ".join(
            f"{name} {mine or 'none'} → {theirs or 'none'}" for name, mine, theirs in pairs if mine != theirs
        )


class Normal(msgspec.Struct, frozen=True):
    """How one score of one reference is spread while the engine is healthy."""

    mean: float
    sd: float


class Blessed(msgspec.Struct, frozen=True, kw_only=True):
    """One blessed answer to one reference."""

    text: str
    finish_reason: str = ""
    vector: list[float] | None = None
    """Its embedding; None where no encoder was there."""


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """One question, its blessed answers, and how alike they are among themselves."""

    prompt: Prompt
    answers: list[Blessed]
    prompt_token_ids: list[int] = []
    """As the engine's template and tokenizer wrote the question out; empty where the engine does not tell."""
    answer_token_ids: list[int] = []
    """Of the first answer: it is read out again by teacher forcing."""
    logprobs: list[list[float | None]] = []
    """Of ``answer_token_ids``, one list for each time they were read while healthy."""
    agreement: Normal
    similarity: Normal | None = None


class ReferenceSet(msgspec.Struct, frozen=True, kw_only=True):
    """All references of one capture."""

    format: int = FORMAT
    id: str
    key: ReferenceKey
    encoder: str = ""
    """Which encoder, truncation and piecing made the vectors; "": there are none."""
    engine: str = ""
    """What the engine called itself then; for people."""
    captured_wall: float
    repeats: int
    references: list[Reference]


class Question(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request to the engine itself, at temperature 0."""

    text: str = ""
    """Asked as a chat message, or as it is with ``plain``."""
    plain: bool = False
    token_ids: list[int] = []
    """Instead of ``text``: teacher-forced. Nothing is asked; their log-probabilities are read."""
    salt: str = ""
    """Divides the prefix cache."""
    max_tokens: int = 1
    rank: int = -1
    """Which data-parallel rank is to answer; −1: whichever the engine chooses."""
    seconds: float = 30.0
    """Deadline."""


class EngineAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to one ``Question``. Never written to a log, a file or an error."""

    because: str = ""
    """Why there is none: a kind, never a body. "" when there is one."""
    text: str = ""
    finish_reason: str = ""
    token_ids: list[int] = []
    prompt_token_ids: list[int] = []
    logprobs: list[float | None] = []
    """Of ``Question.token_ids``, the first of which has none."""
    tokens: int = 0
    """What it cost: prompt and completion tokens by the engine's own count."""

    def __repr__(self) -> str:
        return f"EngineAnswer(because={self.because!r}, …)"


def digest(prompts: list[Prompt]) -> str:
    """Short name of a prompt set's content."""
    return sha256(msgspec.json.encode(sorted((prompt.id, prompt.text) for prompt in prompts))).hexdigest()[:12]
