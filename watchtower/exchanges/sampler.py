"""Which exchanges are sampled, and their text while they go on. Off until an order comes; bounded; forgotten at once.

Two kinds are taken: a share of all (chosen by a checksum of the exchange's id, so that no pattern of the traffic can
meet a pattern of the choice), and those that ask a reference's question greedily and with nothing beside it that could
change the answer. Only what ended well is a sample: a cut answer says something of the connection, not of the model.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Final

from watchtower.exchanges.dialect import Asked, Dialect
from watchtower.exchanges.exchange import Exchange
from watchtower.vocabulary.errors import UNREADABLE
from watchtower.vocabulary.facts import Ending
from watchtower.vocabulary.samples import ExchangeSampled, SampleOrder, prompt_hash

MOST_HELD: Final = 64
"""Samples under way or waiting for the next frame; more are skipped and counted."""
_OVERHEAD_BYTES: Final = 1024
"""A request that asks a reference's question is longer than it by at most this much."""


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

    def consider(self, exchange: Exchange, dialect: Dialect, body: bytes) -> None:
        """``body``: the whole request. Decides whether the answer's text is gathered. Never raises."""
        order = self._order
        if order is None or dialect.asked is None:
            return
        chosen = zlib.crc32(exchange.id.encode()) < order.ratio * 2**32
        short = bool(order.questions) and len(body) <= order.longest_question + _OVERHEAD_BYTES
        if not chosen and not short:
            return
        try:
            asked = dialect.asked(body)
            reference = _reference(order, asked) if short else ""
            if not chosen and not reference:
                return
            conversation = asked.conversation()
        except UNREADABLE:
            return
        question = asked.question
        if not question or self._under_way + len(self._ready) >= MOST_HELD:
            self._count("samples_skipped")
            return
        self._under_way += 1
        most = order.text_characters
        exchange.sample = Gathering(
            self,
            prompt_hash(conversation, order.key),
            question[:most],
            most,
            reference=reference,
            alone=asked.alone and len(question) <= most,
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


def _reference(order: SampleOrder, asked: Asked) -> str:
    """Id of the reference that is asked, as a canary would ask it; "" for none."""
    if not asked.greedy or not asked.alone or asked.plain is not order.plain or not asked.question:
        return ""
    reference = order.questions.get(prompt_hash(asked.question.encode(), order.key), "")
    return reference if reference and asked.nothing_beside() else ""
