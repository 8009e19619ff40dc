"""Answers that are no tokens: vectors, scores, sound, pictures. How they ended and how long they took is all there is.

A small JSON body is looked into for an error and for the prompt's tokens; everything else passes unseen, whatever its
size. What should have been JSON and is none (a page of a gateway, nothing at all) is no answer.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from watchtower.exchanges.answer_reading import TokenUsage
from watchtower.exchanges.errors_inside import blame, flat_error
from watchtower.exchanges.exchange import Exchange
from watchtower.vocabulary.errors import UNREADABLE
from watchtower.vocabulary.facts import Ending

MOST_LOOKED_INTO: Final = 64 * 1024
_MODEL_CHARACTERS: Final = 256


class _Whole(msgspec.Struct, gc=False):
    model: str | None = None
    usage: TokenUsage | None = None
    error: Any = None


_decode = msgspec.json.Decoder(_Whole | list[Any]).decode


class WholeAnswer:
    """``exchanges.dialect.Reader``: complete when its framing ends, unless it says otherwise."""

    def __init__(self, exchange: Exchange, is_json: bool = True) -> None:
        """``is_json``: it has to be; a text may begin like JSON and be none, and sound may begin like anything."""
        self.exchange = exchange
        self._is_json = is_json
        self.ended = False
        self.errored = False
        self.malformed = 0
        self._failure = Ending.ERROR
        self._body: bytearray | None = bytearray()

    def feed(self, body: bytes) -> None:
        if self._body is not None:
            self._body += body
            if len(self._body) > MOST_LOOKED_INTO:
                self._body = None

    def finish(self) -> None:
        self.ended = True
        if self._is_json and self._body is not None:
            self._look_into(self._body)

    def cut(self) -> None:
        """A part of it is of no use to anybody."""

    def ending(self) -> Ending | None:
        if self.errored:
            return self._failure
        return Ending.COMPLETE if self.ended else None

    def _look_into(self, body: bytearray) -> None:
        try:
            whole = _decode(body)
        except UNREADABLE:
            self.ended = False  # JSON that was cut, or that is null, or none
            self.malformed += 1
            return
        if isinstance(whole, list):
            return
        error = whole.error or flat_error(body)
        if error:
            self.errored, self._failure = True, blame(error)
        if whole.model:
            self.exchange.describe(model=whole.model[:_MODEL_CHARACTERS])
        usage = whole.usage
        if usage is not None:
            if usage.prompt_tokens is not None:
                self.exchange.prompt_tokens = usage.prompt_tokens
            if usage.completion_tokens is not None:
                self.exchange.completion_tokens = usage.completion_tokens
