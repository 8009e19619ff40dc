"""Microsoft Teams, through a Workflows webhook: an Adaptive Card. Each notice is a card of its own.

A card may have about 28 KB, so everything long is cut far below that. A 2xx means that the flow accepted the card, not
that it was posted. Old connector addresses answer 200 with an HTTP error inside the body; that is read too.

Source: prometheus/alertmanager v0.34 ``notify/msteamsv2``; Microsoft Learn, "Create Incoming Webhooks".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec
from pydantic import SecretStr

from watchtower.knobs import Mistake, Seconds, SinkName, SinkSettings
from watchtower.ports import Clock, Delivery
from watchtower.sinks.checking import address_mistakes, require
from watchtower.sinks.delivery import DELIVERED, final, retry
from watchtower.sinks.message import Message, Tone, cut
from watchtower.sinks.posting import THROTTLE_SECONDS, HttpReply, Poster
from watchtower.sinks.templates import Words
from watchtower.vocabulary.incidents import Notice

COLOURS = {Tone.ALARM: "Attention", Tone.WARNING: "Warning", Tone.GOOD: "Good", Tone.NEUTRAL: "Default"}
VALUE_LIMIT = 800


class TeamsSinkSettings(SinkSettings):
    """Microsoft Teams: an Adaptive Card through a Workflows webhook."""

    kind: Literal["teams"]
    name: SinkName = "teams"
    url: SecretStr
    """The flow's address, which carries its signature: a credential. Better: ``url_file``."""
    timeout_seconds: Seconds = 15.0

    def mistakes(self) -> Iterator[Mistake]:
        yield from address_mistakes(self.url, "url")


class TeamsSink:
    """``ports.Sink``."""

    Settings = TeamsSinkSettings

    def __init__(self, settings: TeamsSinkSettings, clock: Clock, console: str = "") -> None:
        require(settings)
        self.name = settings.name
        self.words = Words(settings.templates, console)
        self._url = settings.url
        self._poster = Poster(clock, settings.timeout_seconds, [settings.url.get_secret_value()])

    async def send(self, notice: Notice, attempt: int) -> Delivery:
        body = msgspec.json.encode(payload(self.words.message(notice)))
        return await self._poster.send(self._url.get_secret_value(), body, judge=_judge)

    async def close(self) -> None:
        await self._poster.close()


def payload(message: Message) -> dict[str, Any]:
    """The message with its card; the same for every attempt."""
    content: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "body": _body(message),
        "msteams": {"width": "full"},
    }
    if message.link:
        content["actions"] = [{"type": "Action.OpenUrl", "title": "Console", "url": message.link}]
    card = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": content}
    return {"type": "message", "attachments": [card]}


def _body(message: Message) -> list[dict[str, Any]]:
    headline = _text(message.headline, weight="Bolder", size="Medium", style="heading", color=COLOURS[message.tone])
    facts = [{"title": name, "value": cut(value, VALUE_LIMIT)} for name, value in message.untold]
    middle = _text(cut(message.own_text, VALUE_LIMIT)) if message.own_text else {"type": "FactSet", "facts": facts}
    commands = [_text(command, fontType="Monospace", spacing="Small") for _, command in message.commands]
    return [headline, middle, _text("Next", weight="Bolder"), *commands]


def _text(text: str, **style: str) -> dict[str, Any]:
    return {"type": "TextBlock", "text": text, "wrap": True, **style}


def _judge(answer: HttpReply) -> Delivery:
    if "HTTP error 429" in answer.text:
        return retry(f"HTTP {answer.status} with error 429 inside", THROTTLE_SECONDS)
    if "HTTP error 413" in answer.text:
        return final(f"HTTP {answer.status} with error 413 inside")
    if "HTTP error" in answer.text or "error" in answer.json():
        return retry(f"HTTP {answer.status} with an error inside")
    return DELIVERED
