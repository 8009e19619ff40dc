"""What chat programs have in common: one secret address takes each message whole, as JSON, and says in the body whether
it was posted. The address names channel and permission; a message can be neither edited nor threaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec
from pydantic import SecretStr

from watchtower.knobs import Mistake, Seconds, SinkSettings
from watchtower.ports import Clock, Delivery
from watchtower.sinks.checking import address_mistakes, require
from watchtower.sinks.message import Message
from watchtower.sinks.posting import HttpReply, Poster
from watchtower.sinks.templates import Words
from watchtower.vocabulary.incidents import Notice


class IncomingWebhookSettings(SinkSettings):
    url: SecretStr
    """The whole address: a credential. Better: ``url_file``."""
    timeout_seconds: Seconds = 15.0

    def mistakes(self) -> Iterator[Mistake]:
        yield from address_mistakes(self.url, "url")


class IncomingWebhookSink:
    """``ports.Sink``, but for the words and the verdict of one program."""

    pages: ClassVar[bool] = False
    """Its answers may be web pages."""

    def __init__(self, settings: IncomingWebhookSettings, clock: Clock, console: str = "") -> None:
        require(settings)
        self.name = settings.name
        self.words = Words(settings.templates, console)
        self._url = settings.url
        self._poster = Poster(clock, settings.timeout_seconds, [settings.url.get_secret_value()])

    def payload(self, message: Message) -> dict[str, Any]:
        """The whole message; the same for every attempt."""
        raise NotImplementedError

    def judge(self, answer: HttpReply) -> Delivery:
        """Whether a 2xx means that it was posted."""
        raise NotImplementedError

    async def send(self, notice: Notice, attempt: int) -> Delivery:
        body = msgspec.json.encode(self.payload(self.words.message(notice)))
        return await self._poster.send(self._url.get_secret_value(), body, judge=self.judge, pages=self.pages)

    async def close(self) -> None:
        await self._poster.close()
