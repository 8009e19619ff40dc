"""PagerDuty Events API v2: trigger and resolve under one ``dedup_key`` per incident.

Every trigger after the first joins the open alert, so a responder reads the story in one place. 202 means queued, and
only with ``"status": "success"`` in the body. What Watchtower may do (a pause, a mode) opens nothing and is not sent.

Source: PagerDuty/developer-docs, Events API v2 (send an alert event); limits: summary 1,024, key 255 characters.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import msgspec
from pydantic import SecretStr

from watchtower.knobs import Mistake, Seconds, SinkName, SinkSettings
from watchtower.ports import Clock, Delivery
from watchtower.sinks.checking import address_mistakes, require
from watchtower.sinks.delivery import DELIVERED, retry
from watchtower.sinks.event import event_type
from watchtower.sinks.message import Message, Phase, cut
from watchtower.sinks.posting import HttpReply, Poster
from watchtower.sinks.templates import Words
from watchtower.vocabulary.incidents import Notice
from watchtower.vocabulary.instants import iso

SEVERITIES = {"page": "critical", "warn": "warning"}


class PagerDutySinkSettings(SinkSettings):
    """PagerDuty Events API v2: trigger and resolve under one key per incident."""

    keeps_open: ClassVar[bool] = True
    kind: Literal["pagerduty"]
    name: SinkName = "pagerduty"
    routing_key: SecretStr
    """The integration key of the service, 32 characters."""
    url: str = "https://events.pagerduty.com/v2/enqueue"
    """In the EU: ``https://events.eu.pagerduty.com/v2/enqueue``."""
    timeout_seconds: Seconds = 15.0

    def mistakes(self) -> Iterator[Mistake]:
        yield from address_mistakes(self.url, "url")


class PagerDutySink:
    """``ports.Sink``."""

    Settings = PagerDutySinkSettings

    def __init__(self, settings: PagerDutySinkSettings, clock: Clock, console: str = "") -> None:
        require(settings)
        self.name = settings.name
        self.words = Words(settings.templates, console)
        self._url, self._key = settings.url, settings.routing_key
        self._poster = Poster(clock, settings.timeout_seconds, [settings.url])

    async def send(self, notice: Notice, attempt: int) -> Delivery:
        message = self.words.message(notice)
        if message.phase is Phase.ANNOUNCE:
            return DELIVERED
        body = msgspec.json.encode({"routing_key": self._key.get_secret_value(), **event(message)})
        return await self._poster.send(self._url, body, judge=_judge)

    async def close(self) -> None:
        await self._poster.close()


def event(message: Message) -> dict[str, Any]:
    """The body without its key."""
    body: dict[str, Any] = {
        "event_action": "resolve" if message.phase is Phase.RESOLVE else "trigger",
        "dedup_key": cut(message.key, 255),
        "payload": {
            "summary": cut(message.headline, 1024),
            "source": message.target,
            "severity": SEVERITIES.get(message.severity, "info"),
            "timestamp": iso(message.wall),
            "component": "inference engine",
            "class": event_type(message.kind),
            "custom_details": details(message),
        },
        "client": "Watchtower",
    }
    if message.link:
        body["client_url"] = message.link
        body["links"] = [{"href": message.link, "text": "Console"}]
    return body


def details(message: Message) -> dict[str, str]:
    """What a responder sees as a table: one row a fact, because running text loses its lines there."""
    facts = (
        {"message": message.own_text} if message.own_text else {name.lower(): value for name, value in message.untold}
    )
    return {
        **facts,
        "next_command": message.command,
        **({"release_command": message.release} if message.release else {}),
    }


def _judge(answer: HttpReply) -> Delivery:
    if answer.json().get("status") == "success":
        return DELIVERED
    return retry(f"HTTP {answer.status}, but no success in the body")
