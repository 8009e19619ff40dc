"""What the simulated model says, and how likely it finds what others say: pure functions of (checkpoint, prompt).

The same checkpoint answers the same prompt with the same tokens, always. Another checkpoint talks about something
else in another voice, as a wrong set of weights does, and finds every token differently likely. Rounded weights say
nearly the same: every log-probability moves a little, one answer in four takes another turn. A token is one word or
punctuation mark; its id is its place in the vocabulary. Nothing here understands anything: the answers only have to be
stable, readable and comparable.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from itertools import pairwise

from watchtower.lab.simulator.chance import draw, pick

_SENTENCES = (
    "The short answer is that {a} depends on {b} .",
    "In practice {a} comes first and {b} follows from it .",
    "A useful way to see {a} is to compare it with {b} .",
    "Most people notice {b} only after {a} has changed .",
    "Start with {a} , write down what you see , then look at {b} .",
    "There is one exception : {a} without {b} does not hold .",
    "Measured over a long time , {a} and {b} move together .",
    "If {a} looks wrong , check {b} before anything else .",
    "Keep {a} simple and let {b} carry the detail .",
    "That is why careful teams review {b} whenever {a} is touched .",
)
_TOPICS = (
    *("the tide", "the harbour", "a steady wind", "the keeper", "the old chart", "salt water", "the evening signal"),
    *("a good recipe", "fresh bread", "the oven", "slow cooking", "a sharp knife", "the spice rack", "clean water"),
    *("the budget", "a fair price", "the market", "interest", "the ledger", "a small loan", "the quarter"),
    *("a clear test", "the compiler", "shared state", "the cache", "an index", "the queue", "a deadline"),
    *("the garden", "dry soil", "early frost", "the orchard", "a long root", "morning light", "the hedge"),
    *("the melody", "a quiet chord", "the rhythm", "the choir", "an open string", "the stage", "applause"),
)
_WORDS = tuple(
    sorted({word for text in (*_SENTENCES, *_TOPICS) for word in text.split() if "{" not in word} | {"<unk>", "</s>"})
)
VOCABULARY = {word: index + 10 for index, word in enumerate(_WORDS)}
"""Word → token id."""
_NO_SPACE_BEFORE = frozenset(".,:")
_LEAST_SENTENCES, _MOST_SENTENCES = 4, 9
_SPREAD_NATS = 2.0
"""Log-probabilities lie between minus this and 0, so two checkpoints differ by a third of it on average."""
_ROUNDING_NATS = 0.12
"""Most that rounded weights move one log-probability, up or down."""
_TURNS = 4
"""One answer in so many takes another turn when weights are rounded."""


def prompt_tokens(prompt: str) -> list[int]:
    """Token ids of a prompt: one a word or mark; words outside the vocabulary get an id derived from the word."""
    return [
        VOCABULARY.get(word, 1000 + int.from_bytes(sha256(word.encode()).digest()[:4], "big") % 30000)
        for word in re.findall(r"\w+|[^\w\s]", prompt)
    ] or [VOCABULARY["<unk>"]]


@lru_cache(maxsize=512)
def answer(checkpoint: str, prompt: str) -> tuple[str, ...]:
    """All the tokens that this checkpoint says to this prompt, as text pieces that join to the answer."""
    topics = [_TOPICS[pick(len(_TOPICS), checkpoint, prompt, "topic", n)] for n in range(4)]
    count = _LEAST_SENTENCES + pick(_MOST_SENTENCES - _LEAST_SENTENCES + 1, checkpoint, prompt, "length")
    words: list[str] = []
    for n in range(count):
        sentence = _SENTENCES[pick(len(_SENTENCES), checkpoint, prompt, "sentence", n)]
        first = pick(len(topics), checkpoint, prompt, "first", n)
        second = (first + 1 + pick(len(topics) - 1, checkpoint, prompt, "second", n)) % len(topics)
        words.extend(sentence.format(a=topics[first], b=topics[second]).split())
    return tuple(word if index == 0 or word in _NO_SPACE_BEFORE else f" {word}" for index, word in enumerate(words))


@lru_cache(maxsize=512)
def rounded_answer(checkpoint: str, prompt: str) -> tuple[str, ...]:
    """What the same weights say after rounding: most answers unchanged, some with another end."""
    said = answer(checkpoint, prompt)
    if pick(_TURNS, checkpoint, prompt, "rounded"):
        return said
    kept = min(len(said), 3 + pick(12, checkpoint, prompt, "kept"))
    return said[:kept] + answer(f"{checkpoint}/rounded", prompt)[kept:]


def logprobs(checkpoint: str, token_ids: Sequence[int], *, rounded: bool = False) -> list[float]:
    """Natural log-probability of every token after the first, given all tokens before it."""
    found = []
    for place, (before, token) in enumerate(pairwise(token_ids)):
        value = -_SPREAD_NATS * draw(checkpoint, "logprob", place, before, token)
        if rounded:
            value = min(0.0, value + _ROUNDING_NATS * (2 * draw(checkpoint, "rounding", place, before, token) - 1))
        found.append(value)
    return found


def token_id(piece: str) -> int:
    """The vocabulary id of one piece of an answer."""
    return VOCABULARY[piece.strip()]


def name_of(checkpoint: str) -> str:
    """What a checkpoint is called: the last part of its path. Its answers and checksums hang on the name alone."""
    return checkpoint.rstrip("/").rpartition("/")[2]


def word(token: int) -> str:
    """The word behind a token id; "<unk>" outside the vocabulary."""
    return _WORDS[token - 10] if 10 <= token < 10 + len(_WORDS) else "<unk>"


def checksums(checkpoint: str, ranks: int) -> dict[str, str]:
    """SHA-256 of every weight shard, keyed as vLLM's weight checker keys them."""
    tensors = ("model.embed_tokens.weight", "model.layers.0.self_attn.qkv_proj.weight", "lm_head.weight")
    return {
        f"dp0:pp0:pcp0:tp{rank}:{tensor}": sha256(f"{checkpoint}/{rank}/{tensor}".encode()).hexdigest()
        for rank in range(ranks)
        for tensor in tensors
    }
