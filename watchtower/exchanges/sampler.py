"""Which exchanges are sampled, and their text while they go on. Off until an order comes; bounded; forgotten at once.

Two kinds are taken: a share of all (chosen by a checksum of the exchange's id, so that no pattern of the traffic can
meet a pattern of the choice), and those that ask a reference's question greedily and with nothing beside it that could
change the answer. Only what ended well is a sample: a cut answer says something of the connection, not of the model.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, Final

import msgspec

from watchtower.exchanges.exchange import Exchange
from watchtower.vocabulary.errors import UNREADABLE
from watchtower.vocabulary.facts import Ending
from watchtower.vocabulary.samples import ExchangeSampled, SampleOrder, prompt_hash

MOST_HELD: Final = 64
"""Samples under way or waiting for the next frame; more are skipped and counted."""
SAMPLED_PATHS: Final = frozenset({"/v1/chat/completions", "/v1/completions"})
_OVERHEAD_BYTES: Final = 1024
"""A request that asks a reference's question is longer than it by at most this much."""
_NEUTRAL: Final = frozenset(
    {"model", "messages", "prompt", "temperature", "max_tokens", "max_completion_tokens", "stream", "stream_options"}
    | {"user", "seed", "top_p", "n", "metadata", "priority", "cache_salt", "return_token_ids", "store"}
)
"""What may stand in a greedy request without changing its answer (its length apart)."""


class _Message(msgspec.Struct, gc=False):
    role: str = ""
    content: Any = None


class _Asked(msgspec.Struct, gc=False):
    messages: list[_Message] | None = None
    prompt: Any = None
    temperature: float | None = None
    n: int | None = None


class _Conversation(msgspec.Struct, gc=False):
    messages: msgspec.Raw = msgspec.Raw(b"")
    prompt: msgspec.Raw = msgspec.Raw(b"")


_decode_asked = msgspec.json.Decoder(_Asked).decode
_decode_conversation = msgspec.json.Decoder(_Conversation).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Gathering:
    """The text of one answer so far."""

    __slots__ = ("_answer", "_left", "_sampler", "alone", "chosen", "cut", "prompt", "question", "reference")

    def __init__(
        self, sampler: Sampler, prompt: str, question: str, most: int, *, reference: str, alone: bool, chosen: bool
    ) -> None:
        self._sampler = sampler
        self._answer: list[str] = []
        self._left = most
        self.cut = False
        self.prompt = prompt
        self.question = question
        self.reference = reference
        self.alone = alone
        self.chosen = chosen

    def add(self, text: object) -> None:
        """The answer's next piece."""
        if not isinstance(text, str) or not text:
            return
        if len(text) > self._left:
            self.cut = True
            text = text[: self._left]
        self._left -= len(text)
        self._answer.append(text)

    def end(self, exchange: Exchange, ending: Ending, at: float) -> None:
        answer, self._answer = "".join(self._answer), []
        self._sampler.ended(self, exchange, ending, at, answer)


class Sampler:
    """One per worker. ``obey`` an order; ``consider`` each request; ``take`` what is ready."""

    def __init__(self, count: Callable[[str], None]) -> None:
        """``count`` is told ``sampled`` and ``samples_skipped`` (RELAY_COUNTERS)."""
        self._count = count
        self._order: SampleOrder | None = None
        self._under_way = 0
        self._ready: list[ExchangeSampled] = []

    @property
    def on(self) -> bool:
        return self._order is not None

    def obey(self, order: SampleOrder) -> None:
        self._order = order if order.takes_any else None
        if self._order is None:
            self._ready.clear()

    def stop(self) -> None:
        """Whoever ordered is gone: nothing is taken, nothing is kept."""
        self._order = None
        self._ready.clear()

    def take(self) -> list[ExchangeSampled]:
        ready, self._ready = self._ready, []
        return ready

    def consider(self, exchange: Exchange, body: bytes) -> None:
        """``body``: the whole request. Decides whether the answer's text is gathered. Never raises."""
        order = self._order
        if order is None or exchange.path not in SAMPLED_PATHS:
            return
        chosen = zlib.crc32(exchange.id.encode()) < order.ratio * 2**32
        short = bool(order.questions) and len(body) <= order.longest_question + _OVERHEAD_BYTES
        if not chosen and not short:
            return
        try:
            asked = _decode_asked(body)
            reference = _reference(order, asked, body) if short else ""
            if not chosen and not reference:
                return
            question = _question(asked)
            conversation = _decode_conversation(body)
        except UNREADABLE:
            return
        if not question or self._under_way + len(self._ready) >= MOST_HELD:
            self._count("samples_skipped")
            return
        self._under_way += 1
        raw = bytes(conversation.messages) or bytes(conversation.prompt)
        most = order.text_characters
        exchange.sample = Gathering(
            self,
            prompt_hash(raw, order.key),
            question[:most],
            most,
            reference=reference,
            alone=_alone(asked) and len(question) <= most,
            chosen=chosen,
        )

    def ended(self, gathering: Gathering, exchange: Exchange, ending: Ending, at: float, answer: str) -> None:
        self._under_way -= 1
        if self._order is None or ending is not Ending.COMPLETE:
            self._count("samples_skipped")
            return
        self._count("sampled")
        self._ready.append(
            ExchangeSampled(
                at=at,
                id=exchange.id,
                model=exchange.model,
                prompt=gathering.prompt,
                question=gathering.question,
                answer=answer,
                cut=gathering.cut,
                finish_reason=exchange.finish_reason,
                reference=gathering.reference,
                alone=gathering.alone,
                chosen=gathering.chosen,
            )
        )


def _alone(asked: _Asked) -> bool:
    """One question of a user and nothing before it."""
    return asked.messages is None or (len(asked.messages) == 1 and asked.messages[0].role == "user")


def _question(asked: _Asked) -> str:
    """The last thing that was said to the model; "" when it is no text."""
    if asked.messages:
        return _said(asked.messages[-1].content)
    return asked.prompt if isinstance(asked.prompt, str) else ""


def _said(content: object) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [part.get("text") for part in content if isinstance(part, dict)]
    return "\n".join(part for part in parts if isinstance(part, str))


def _reference(order: SampleOrder, asked: _Asked, body: bytes) -> str:
    """Id of the reference that is asked, as a canary would ask it; "" for none."""
    if asked.temperature != 0 or asked.n not in (None, 1):
        return ""
    if order.plain:
        question = asked.prompt if isinstance(asked.prompt, str) and asked.messages is None else ""
    else:
        question = _question(asked) if asked.messages is not None and _alone(asked) else ""
    reference = order.questions.get(prompt_hash(question.encode(), order.key), "") if question else ""
    return reference if reference and _NEUTRAL.issuperset(_decode_fields(body)) else ""
