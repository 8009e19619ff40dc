"""Opsgenie, and Jira Service Management behind the same interface: one alert per incident, found again by its alias.

Creating an alert whose alias is open only raises its count, so whatever should wake people is created *and* then
brought up to date (message, description); lesser news become notes; the end closes it. 202 means accepted, and only
with a ``requestId`` in the body. What Watchtower may do (a pause, a mode) opens nothing and is not sent.

Source: Opsgenie Alert API; prometheus/alertmanager v0.34 ``notify/opsgenie/opsgenie.go``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, NamedTuple
from urllib.parse import quote

import msgspec
from pydantic import Field, SecretStr

from watchtower.knobs import Mistake, Seconds, SinkName, SinkSettings
from watchtower.ports import Clock, Delivery
from watchtower.sinks.checking import address_mistakes, require
from watchtower.sinks.delivery import DELIVERED, retry
from watchtower.sinks.message import Message, Phase, cut, plain, shorter
from watchtower.sinks.posting import HttpReply, Poster
from watchtower.sinks.templates import Words
from watchtower.vocabulary.incidents import Notice

MESSAGE_LIMIT = 130
DESCRIPTION_LIMIT = 15_000
PRIORITIES = {"page": "P1", "warn": "P3"}


class OpsgenieRequest(NamedTuple):
    method: str
    path: str
    """Below the address of the alerts."""
    body: dict[str, Any]


class OpsgenieSinkSettings(SinkSettings):
    """Opsgenie alerts (its service ends in April 2027; see ``jsm``)."""

    keeps_open: ClassVar[bool] = True
    kind: Literal["opsgenie"]
    name: SinkName = "opsgenie"
    api_key: SecretStr
    """Of an API integration; account keys cannot create alerts."""
    url: str = "https://api.opsgenie.com/v2/alerts"
    """In the EU: ``https://api.eu.opsgenie.com/v2/alerts``."""
    team: str = ""
    """Who is called; empty: whoever the integration belongs to."""
    tags: Annotated[tuple[Annotated[str, Field(max_length=50)], ...], Field(max_length=20)] = ()
    """Added to every alert."""
    timeout_seconds: Seconds = 15.0

    def mistakes(self) -> Iterator[Mistake]:
        yield from address_mistakes(self.url, "url")


class JsmSinkSettings(OpsgenieSinkSettings):
    """Jira Service Management alerts: Opsgenie's interface at another address."""

    kind: Literal["jsm"]  # type: ignore[assignment]
    name: SinkName = "jsm"
    url: str = "https://api.atlassian.com/jsm/ops/integration/v2/alerts"
    """The integration's address."""


class OpsgenieSink:
    """``ports.Sink``."""

    Settings = OpsgenieSinkSettings

    def __init__(self, settings: OpsgenieSinkSettings, clock: Clock, console: str = "") -> None:
        require(settings)
        self.name = settings.name
        self.words = Words(settings.templates, console)
        self._settings = settings
        self._poster = Poster(clock, settings.timeout_seconds, [settings.url])

    async def send(self, notice: Notice, attempt: int) -> Delivery:
        """All requests of one notice, or the first that failed; a retry repeats them all."""
        headers = {"authorization": f"GenieKey {self._settings.api_key.get_secret_value()}"}
        for request in requests(self.words.message(notice), self._settings.team, self._settings.tags):
            url = self._settings.url.rstrip("/") + request.path
            body = msgspec.json.encode(request.body)
            result = await self._poster.send(url, body, headers, method=request.method, judge=_judge)
            if not result.delivered:
                return result
        return DELIVERED

    async def close(self) -> None:
        await self._poster.close()


class JsmSink(OpsgenieSink):
    """``ports.Sink``: another address, the same interface."""

    Settings = JsmSinkSettings


def requests(message: Message, team: str = "", tags: tuple[str, ...] = ()) -> list[OpsgenieRequest]:
    """What tells ``message``, in order."""
    alert = f"/{quote(cut(message.key, 512), safe='')}"
    by_alias = "?identifierType=alias"
    title, description = shorter(message, MESSAGE_LIMIT), cut(plain(message), DESCRIPTION_LIMIT)
    match message.phase:
        case Phase.ANNOUNCE:
            return []
        case Phase.UPDATE:
            return [OpsgenieRequest("POST", f"{alert}/notes{by_alias}", _by_us(note=description))]
        case Phase.RESOLVE:
            return [OpsgenieRequest("POST", f"{alert}/close{by_alias}", _by_us(note=description))]
    create = _by_us(
        message=title,
        alias=cut(message.key, 512),
        description=description,
        entity=cut(message.target, 512),
        priority=PRIORITIES.get(message.severity, "P5"),
        details={
            "next_command": message.command,
            **({"release_command": message.release} if message.release else {}),
            "kind": message.kind.value,
        },
        tags=list(tags),
    )
    if team:
        create["responders"] = [{"name": team, "type": "team"}]
    return [
        OpsgenieRequest("POST", "", create),
        OpsgenieRequest("PUT", f"{alert}/message{by_alias}", {"message": title}),
        OpsgenieRequest("PUT", f"{alert}/description{by_alias}", {"description": description}),
    ]


def _by_us(**body: Any) -> dict[str, Any]:
    return {"source": "Watchtower", **body}


def _judge(answer: HttpReply) -> Delivery:
    if answer.json().get("requestId"):
        return DELIVERED
    return retry(f"HTTP {answer.status}, but no request id in the body")
