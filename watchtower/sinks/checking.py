"""What is wrong with a sink's settings that their types cannot show: addresses, keys, templates. Nothing is contacted.

``watchtower check`` asks here and adds file and line; a sink that is made without that asks here too. No answer quotes
an address or a secret.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import NamedTuple

from pydantic import SecretBytes, SecretStr

from watchtower.sink_settings import (
    AlertmanagerSinkSettings,
    SinkGroup,
    SinkSettings,
    SmtpSinkSettings,
    WebhookSinkSettings,
)
from watchtower.sinks import templates
from watchtower.sinks.addresses import is_local_host, mistake_in
from watchtower.vocabulary.errors import BadInput, Problem


class Mistake(NamedTuple):
    route: tuple[str | int, ...]
    """Below the sink."""
    what: str
    cure: str


def mistakes(settings: SinkSettings) -> list[Mistake]:
    """Everything that is wrong with one sink."""
    return list(_mistakes(settings))


def require(settings: SinkSettings) -> None:
    """Raises BadInput when anything is wrong."""
    found = mistakes(settings)
    if found:
        where = f"sink {settings.name}"
        raise BadInput(
            [Problem(where, ".".join(map(str, mistake.route)), mistake.what, mistake.cure) for mistake in found]
        )


def keys(secret: SecretStr) -> list[SecretBytes]:
    """The decoded keys of a webhook secret, newest first; empty when one of them is none."""
    found = []
    for text in secret.get_secret_value().split():
        try:
            key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not (text.startswith("whsec_") and 24 <= len(key) <= 64):
            return []
        found.append(SecretBytes(key))
    return found


def _mistakes(settings: SinkSettings) -> Iterator[Mistake]:
    yield from _in_address(settings)
    match settings:
        case WebhookSinkSettings() if not keys(settings.secret):
            empty = not settings.secret.get_secret_value().strip()
            what = "is empty" if empty else "is not a webhook secret"
            yield Mistake(("secret",), what, "write whsec_ and the base64 of 24 to 64 bytes")
        case AlertmanagerSinkSettings():
            yield from _in_alertmanager(settings)
        case SmtpSinkSettings():
            yield from _in_smtp(settings)
    for field, what in templates.mistakes(settings.templates):
        yield Mistake(("templates", field), what, f"it may name: {', '.join(templates.VARIABLES)}")


def _in_address(settings: SinkGroup) -> Iterator[Mistake]:
    url = getattr(settings, "url", None)
    if url is not None:
        found = mistake_in(url.get_secret_value() if isinstance(url, SecretStr) else url)
        if found:
            yield Mistake(("url",), *found)


def _in_alertmanager(settings: AlertmanagerSinkSettings) -> Iterator[Mistake]:
    for index, url in enumerate(settings.urls):
        # inside a cluster Alertmanager speaks http, and alerts are no secret there; a token is
        found = mistake_in(url.get_secret_value(), clear_text=settings.token is None)
        if found:
            yield Mistake(("urls", index), *found)
    for name in settings.labels:
        if not name.isascii() or not name.isidentifier() or name in RESERVED_LABELS:
            cure = "letters, digits and underscores; " + ", ".join(sorted(RESERVED_LABELS)) + " are set already"
            yield Mistake(("labels", name), "cannot be the name of a label", cure)


RESERVED_LABELS = frozenset({"alertname", "target", "incident", "severity"})


def _in_smtp(settings: SmtpSinkSettings) -> Iterator[Mistake]:
    if settings.tls == "none" and not is_local_host(settings.host):
        yield Mistake(("tls",), "sends alerts in the clear", "use starttls or implicit (none only to this machine)")
    if bool(settings.username) != (settings.password is not None):
        missing = "password" if settings.username else "username"
        yield Mistake((missing,), "is missing", "a login needs username and password")
    for field, addresses in (("sender", (settings.sender,)), ("recipients", settings.recipients)):
        for index, address in enumerate(addresses):
            if not _MAIL_ADDRESS.fullmatch(address):
                route = (field,) if field == "sender" else (field, index)
                yield Mistake(route, "is not a mail address", "write name@example.org, and nothing else")


_MAIL_ADDRESS = re.compile(r"[^\s@,;:<>\"()\[\]\\]+@[^\s@,;:<>\"()\\]+")
