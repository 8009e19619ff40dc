"""Prometheus Alertmanager, API v2: one alert per incident, in every replica.

An alert is its labels, so only what never changes is a label; the one exception is the severity, because people route
by it: when it changes, the alert under the old labels is ended in the same request. Alertmanager keeps nothing for
long: what stands is told again every ``resend_seconds``, and an ended alert for five minutes more, because a replica
may have restarted. If Watchtower itself dies, its alerts end by ``endsAt``; the dead-man rule pages then.

Source: prometheus/alertmanager v0.34 ``docs/alerts_api.md``, ``api/v2/openapi.yaml``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from pydantic import Field, SecretStr

from watchtower.knobs import Mistake, Seconds, SinkName, SinkSettings
from watchtower.ports import Clock, Delivery
from watchtower.sinks.checking import address_mistakes, require
from watchtower.sinks.delivery import DELIVERED
from watchtower.sinks.message import Message, Phase
from watchtower.sinks.posting import Poster
from watchtower.sinks.templates import Words
from watchtower.vocabulary.incidents import Notice, NoticeKind
from watchtower.vocabulary.instants import iso

LEAST_LIFE_SECONDS = 300.0
KEEP_ENDED_SECONDS = 300.0
SEVERITIES = {"page": "critical", "warn": "warning", "info": "info"}
_NAMES = {
    NoticeKind.BLIND: "WatchtowerBlind",
    NoticeKind.STORAGE_FAULT: "WatchtowerJournalFault",
    NoticeKind.TEST: "WatchtowerTest",
}
PATH = "/api/v2/alerts"
RESERVED_LABELS = frozenset({"alertname", "target", "incident", "severity"})


class AlertmanagerAlert(msgspec.Struct, frozen=True):
    labels: dict[str, str]
    annotations: dict[str, str]
    starts: float
    ends: float | None = None
    """Unix seconds; None: it fires."""
    link: str = ""

    def body(self, wall: float, life_seconds: float) -> dict[str, Any]:
        """JSON of one alert as told at ``wall``: one that fires ends by itself after ``life_seconds``."""
        ends = wall + life_seconds if self.ends is None else self.ends
        body = {
            "labels": self.labels,
            "annotations": self.annotations,
            "startsAt": iso(self.starts),
            "endsAt": iso(max(ends, self.starts)),
        }
        return body | ({"generatorURL": self.link} if self.link else {})


class Standing:
    """The alerts that fire, by incident, and those that ended a moment ago. Pure."""

    def __init__(self, labels: dict[str, str]) -> None:
        self._labels = labels
        self._firing: dict[str, AlertmanagerAlert] = {}
        self._ended: list[AlertmanagerAlert] = []

    def after(self, message: Message) -> tuple[Standing, list[AlertmanagerAlert]]:
        """What stands once ``message`` was told, and the alerts that tell it."""
        following = Standing(self._labels)
        following._firing, following._ended = dict(self._firing), list(self._ended)
        return following, following._tell(message)

    def alerts(self, wall: float) -> list[AlertmanagerAlert]:
        """Everything to tell again at ``wall``; what ended long ago is forgotten."""
        self._ended = [
            alert for alert in self._ended if alert.ends is not None and wall - alert.ends < KEEP_ENDED_SECONDS
        ]
        return [*self._firing.values(), *self._ended]

    def _tell(self, message: Message) -> list[AlertmanagerAlert]:
        before = self._firing.pop(message.key, None)
        alert = self._alert(message, before)
        sent = []
        if before and before.labels != alert.labels:
            sent.append(msgspec.structs.replace(before, ends=message.wall))
            self._ended.append(sent[-1])
        if message.phase is Phase.RESOLVE:
            alert = msgspec.structs.replace(alert, ends=message.wall)
            self._ended.append(alert)
        else:
            self._firing[message.key] = alert
            self._ended = [ended for ended in self._ended if ended.labels != alert.labels]
        return [*sent, alert]

    def _alert(self, message: Message, before: AlertmanagerAlert | None) -> AlertmanagerAlert:
        labels = self._labels | {
            "alertname": _NAMES.get(message.kind, "WatchtowerIncident"),
            "target": message.target,
            "incident": message.key,
            "severity": SEVERITIES.get(message.severity, message.severity),
        }
        if before and message.phase is Phase.RESOLVE:
            labels = before.labels
        annotations = {
            "summary": message.headline,
            "description": message.text,
            "next_command": message.command,
            "state": message.state.value,
        }
        starts = before.starts if before else message.since or message.wall
        return AlertmanagerAlert({k: v for k, v in labels.items() if v}, annotations, starts, link=message.link)


class AlertmanagerSinkSettings(SinkSettings):
    """Prometheus Alertmanager, API v2: one alert per incident, sent again until it is resolved."""

    keeps_open: ClassVar[bool] = True
    kind: Literal["alertmanager"]
    name: SinkName = "alertmanager"
    urls: Annotated[tuple[SecretStr, ...], Field(min_length=1)]
    """Every replica, e.g. ``http://alertmanager:9093``; not a load balancer in front of them."""
    token: SecretStr | None = None
    """Sent as Bearer; then only over https."""
    labels: Annotated[dict[str, str], Field(max_length=32)] = {}  # noqa: RUF012 - pydantic copies it
    """Added to every alert, for routing. A label is part of an alert's identity: nothing that changes belongs here."""
    resend_seconds: Annotated[float, Field(ge=1, le=300)] = 60.0
    """Alertmanager forgets: what still fires is told again this often, and ends by itself after four times as long,
    at least five minutes."""
    timeout_seconds: Seconds = 10.0

    def mistakes(self) -> Iterator[Mistake]:
        for index, url in enumerate(self.urls):
            # inside a cluster Alertmanager speaks http, and alerts are no secret there; a token is
            yield from address_mistakes(url, "urls", index, clear_text=self.token is None)
        for name in self.labels:
            if not name.isascii() or not name.isidentifier() or name in RESERVED_LABELS:
                cure = "letters, digits and underscores; " + ", ".join(sorted(RESERVED_LABELS)) + " are set already"
                yield Mistake(("labels", name), "cannot be the name of a label", cure)


class AlertmanagerSink:
    """``ports.RemindingSink``. Delivered when one replica has it: the others are told with the next reminder."""

    Settings = AlertmanagerSinkSettings

    def __init__(self, settings: AlertmanagerSinkSettings, clock: Clock, console: str = "") -> None:
        require(settings)
        self.name = settings.name
        self.words = Words(settings.templates, console)
        self.resend_seconds = settings.resend_seconds
        self._life_seconds = max(LEAST_LIFE_SECONDS, 4 * settings.resend_seconds)
        self._clock = clock
        self._urls = settings.urls
        self._token = settings.token
        self._standing = Standing(settings.labels)
        self._turn = asyncio.Lock()
        """A reminder must not overtake the end of what it reminds of."""
        self._poster = Poster(clock, settings.timeout_seconds, [url.get_secret_value() for url in settings.urls])

    async def send(self, notice: Notice, attempt: int) -> Delivery:
        message = self.words.message(notice)
        if message.phase is Phase.ANNOUNCE:
            return DELIVERED  # no alert begins or ends with it
        async with self._turn:
            following, alerts = self._standing.after(message)
            result = await self._post(alerts)
            if result.delivered:
                self._standing = following
        return result

    def recall(self, notices: Iterable[Notice]) -> None:
        for notice in notices:
            message = self.words.message(notice)
            if message.phase is not Phase.ANNOUNCE:
                self._standing, _ = self._standing.after(message)

    async def resend(self) -> Delivery:
        async with self._turn:
            alerts = self._standing.alerts(self._clock.now().wall)
            return await self._post(alerts) if alerts else DELIVERED

    async def close(self) -> None:
        await self._poster.close()

    async def _post(self, alerts: list[AlertmanagerAlert]) -> Delivery:
        wall = self._clock.now().wall
        body = msgspec.json.encode([alert.body(wall, self._life_seconds) for alert in alerts])
        headers = {"authorization": f"Bearer {self._token.get_secret_value()}"} if self._token else {}
        results = await asyncio.gather(
            *(self._poster.send(url.get_secret_value().rstrip("/") + PATH, body, headers) for url in self._urls)
        )
        return min(results, key=lambda result: (not result.delivered, result.final))
