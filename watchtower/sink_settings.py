"""The knobs of every sink, told apart by ``kind``. Secrets come from files (``url_file``) or the environment.

Every sink has a name of its own, because outbox, metrics and ``watchtower sinks test NAME`` speak of it by name; two of
the same kind need two names. An address that works like a password (Slack, Teams, webhook) is a secret.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from watchtower.knobs import Group, Seconds
from watchtower.vocabulary.readings import Severity

SinkName = Annotated[str, Field(min_length=1, max_length=64)]


class TemplateSettings(Group):
    """Your own words, in Jinja2, sandboxed; empty: the built-in ones. ``docs/alerts.md`` lists what can be named."""

    headline: str = ""
    """The first line, of at most 150 characters: what a phone shows."""
    text: str = ""
    """Replaces the body: what, since when, what was done, and the next command."""


class SinkGroup(Group):
    """What every sink has."""

    templates: TemplateSettings = TemplateSettings()
    min_severity: Severity = Severity.INFO
    """Only notices of at least this severity go here: ``page``, ``warn`` or ``info`` (everything). An escalation is
    always a page, and so is the end of an incident that was escalated."""


class LogSinkSettings(SinkGroup):
    """One line per notice in Watchtower's own log."""

    kind: Literal["log"]
    name: SinkName = "log"


class WebhookSinkSettings(SinkGroup):
    """Standard Webhooks 1.0.0."""

    kind: Literal["webhook"]
    name: SinkName = "webhook"
    url: SecretStr
    """https://… (http only for loopback). Treated as a credential: never logged."""
    secret: SecretStr
    """``whsec_…``; 24 to 64 bytes, base64. Better: WATCHTOWER__SINKS__n__SECRET or ``secret_file``. During a rotation
    several, separated by blanks: each delivery is signed with all of them."""
    timeout_seconds: Seconds = 15.0


class AlertmanagerSinkSettings(SinkGroup):
    """Prometheus Alertmanager, API v2: one alert per incident, sent again until it is resolved."""

    kind: Literal["alertmanager"]
    name: SinkName = "alertmanager"
    urls: Annotated[tuple[SecretStr, ...], Field(min_length=1)]
    """Every replica, e.g. ``http://alertmanager:9093``; not a load balancer in front of them."""
    token: SecretStr | None = None
    """Sent as Bearer; then only over https."""
    labels: Annotated[dict[str, str], Field(max_length=32)] = {}
    """Added to every alert, for routing. A label is part of an alert's identity: nothing that changes belongs here."""
    resend_seconds: Annotated[float, Field(ge=1, le=300)] = 60.0
    """Alertmanager forgets: what still fires is told again this often, and ends by itself after four times as long,
    at least five minutes."""
    timeout_seconds: Seconds = 10.0


class PagerDutySinkSettings(SinkGroup):
    """PagerDuty Events API v2: trigger and resolve under one key per incident."""

    kind: Literal["pagerduty"]
    name: SinkName = "pagerduty"
    routing_key: SecretStr
    """The integration key of the service, 32 characters."""
    url: str = "https://events.pagerduty.com/v2/enqueue"
    """In the EU: ``https://events.eu.pagerduty.com/v2/enqueue``."""
    timeout_seconds: Seconds = 15.0


class OpsgenieSinkSettings(SinkGroup):
    """Opsgenie alerts (its service ends in April 2027; see ``jsm``)."""

    kind: Literal["opsgenie"]
    name: SinkName = "opsgenie"
    api_key: SecretStr
    """Of an API integration; account keys cannot create alerts."""
    url: str = "https://api.opsgenie.com/v2/alerts"
    """In the EU: ``https://api.eu.opsgenie.com/v2/alerts``."""
    team: str = ""
    """Who is called; empty: whoever the integration belongs to."""
    tags: Annotated[tuple[Annotated[str, Field(max_length=50)], ...], Field(max_length=20)] = ()
    timeout_seconds: Seconds = 15.0


class JsmSinkSettings(OpsgenieSinkSettings):
    """Jira Service Management alerts: Opsgenie's interface at another address."""

    kind: Literal["jsm"]  # type: ignore[assignment]
    name: SinkName = "jsm"
    url: str = "https://api.atlassian.com/jsm/ops/integration/v2/alerts"
    """The integration's address."""


class SlackSinkSettings(SinkGroup):
    """A Slack incoming webhook."""

    kind: Literal["slack"]
    name: SinkName = "slack"
    url: SecretStr
    """https://hooks.slack.com/services/…: a credential. Better: ``url_file``."""
    timeout_seconds: Seconds = 15.0


class TeamsSinkSettings(SinkGroup):
    """Microsoft Teams: an Adaptive Card through a Workflows webhook."""

    kind: Literal["teams"]
    name: SinkName = "teams"
    url: SecretStr
    """The flow's address, which carries its signature: a credential. Better: ``url_file``."""
    timeout_seconds: Seconds = 15.0


class SmtpSinkSettings(SinkGroup):
    """E-mail; the mails of one incident are one conversation."""

    kind: Literal["smtp"]
    name: SinkName = "smtp"
    host: Annotated[str, Field(min_length=1)]
    """The mail server."""
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    """587 with ``starttls``, 465 with ``implicit``."""
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    """``none`` only to this machine. The server's certificate is always checked."""
    username: str = ""
    """Empty: no login."""
    password: SecretStr | None = None
    """Better: ``password_file``."""
    sender: Annotated[str, Field(min_length=3)]
    """The From address, e.g. ``watchtower@example.org``."""
    recipients: Annotated[tuple[str, ...], Field(min_length=1, max_length=50)]
    """The To addresses."""
    timeout_seconds: Seconds = 30.0


SinkSettings = Annotated[
    LogSinkSettings
    | WebhookSinkSettings
    | AlertmanagerSinkSettings
    | PagerDutySinkSettings
    | OpsgenieSinkSettings
    | JsmSinkSettings
    | SlackSinkSettings
    | TeamsSinkSettings
    | SmtpSinkSettings,
    Field(discriminator="kind"),
]
