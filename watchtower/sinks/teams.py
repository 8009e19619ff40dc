"""Microsoft Teams, through a Workflows webhook: an Adaptive Card. Each notice is a card of its own.

A card may have about 28 KB, so everything long is cut far below that. A 2xx means that the flow accepted the card, not
that it was posted. Old connector addresses answer 200 with an HTTP error inside the body; that is read too.

Source: prometheus/alertmanager v0.34 ``notify/msteamsv2``; Microsoft Learn, "Create Incoming Webhooks".
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import SecretStr

from watchtower.knobs import SinkName
from watchtower.ports import Delivery
from watchtower.sinks.delivery import DELIVERED, final, retry
from watchtower.sinks.incoming_webhook import IncomingWebhookSettings, IncomingWebhookSink
from watchtower.sinks.message import Message, Tone, cut
from watchtower.sinks.posting import THROTTLE_SECONDS, HttpReply

COLOURS = {Tone.ALARM: "Attention", Tone.WARNING: "Warning", Tone.GOOD: "Good", Tone.NEUTRAL: "Default"}
VALUE_LIMIT = 800


class TeamsSinkSettings(IncomingWebhookSettings):
    """Microsoft Teams: an Adaptive Card through a Workflows webhook."""

    kind: Literal["teams"]
    name: SinkName = "teams"
    url: SecretStr
    """The flow's address, which carries its signature: a credential. Better: ``url_file``."""


class TeamsSink(IncomingWebhookSink):
    """``ports.Sink``."""

    Settings = TeamsSinkSettings

    def payload(self, message: Message) -> dict[str, Any]:
        return payload(message)

    def judge(self, answer: HttpReply) -> Delivery:
        return _judge(answer)


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
