"""Samples: the text of a few answers to users, on its way from a relay worker to the daemon's memory.

They are no facts: they never enter the stream that rules, recordings and explanations read, are never written down
unless a person turned retention on, and show nothing of themselves when printed. A worker takes samples only while a
daemon that ordered them is connected.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec

KEY_BYTES = 16


class SampleOrder(msgspec.Struct, frozen=True, tag="sample", tag_field="order", kw_only=True):
    """From now on take samples like this; the newest order counts."""

    ratio: float
    """Share of the observed answers, 0…1; chosen by the exchange's id alone."""
    questions: dict[str, str] = {}
    """Of the references in force: ``prompt_hash`` of each question → its id. A request that asks one of them greedily,
    and nothing else, is taken whatever ``ratio`` says."""
    plain: bool = False
    """Questions are asked as completions, not as chat messages."""
    longest_question: int = 0
    """Bytes of the longest of ``questions``: a request much longer asks none of them."""
    text_characters: int = 16 * 1024
    """Most characters of one question, and of one answer; what is longer is cut."""
    key: bytes = b""
    """Of the hashes of prompts: without it nobody can tell a guessed prompt from its hash."""

    @property
    def takes_any(self) -> bool:
        return self.ratio > 0 or bool(self.questions)


class ExchangeSampled(msgspec.Struct, frozen=True, tag="exchange_sampled", tag_field="fact", kw_only=True):
    """What one user asked and was answered, whole and well."""

    at: float
    id: str
    """Of the exchange."""
    model: str
    prompt: str
    """Keyed hash of the whole conversation: the same prompt, the same name, and nothing of its text."""
    question: str
    """The last thing said to the model."""
    answer: str
    cut: bool = False
    """``answer`` was longer than what is kept of it."""
    finish_reason: str = ""
    reference: str = ""
    """Id of the reference whose question this is; "" for any other."""
    alone: bool = False
    """The conversation was this one question of a user: asked again, it means the same."""
    chosen: bool = False
    """It is one of the ``ratio`` too."""

    def __repr__(self) -> str:
        return f"ExchangeSampled(id={self.id!r}, …)"

    @property
    def size(self) -> int:
        """Bytes of memory, about."""
        return 2 * (len(self.question) + len(self.answer)) + 500


def prompt_hash(content: bytes, key: bytes) -> str:
    """Twelve hexadecimal digits: a name for ``content`` that says nothing of it without ``key``."""
    return blake2b(content, key=key, digest_size=6).hexdigest()
