"""Standard Webhooks 1.0.0: one signed POST per notice.

The id is the notice's and constant over retries; timestamp and signature belong to the attempt; what is signed are the
very bytes that are sent. The reply is judged by status and ``Retry-After`` alone, as the specification says: every
failure but 410 is tried again.

Source: standard-webhooks/standard-webhooks ``spec/standard-webhooks.md`` 1.0.0.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterator
from typing import Literal

from pydantic import SecretBytes, SecretStr

from watchtower.knobs import Mistake, Seconds, SinkName, SinkSettings
from watchtower.ports import Clock, Delivery
from watchtower.sinks.checking import address_mistakes, require
from watchtower.sinks.event import event_body
from watchtower.sinks.posting import Poster
from watchtower.sinks.templates import Words
from watchtower.vocabulary.incidents import Notice


class WebhookSinkSettings(SinkSettings):
    """Standard Webhooks 1.0.0."""

    kind: Literal["webhook"]
    name: SinkName = "webhook"
    url: SecretStr
    """https://… (http only for loopback). Treated as a credential: never logged."""
    secret: SecretStr
    """``whsec_…``; 24 to 64 bytes, base64. Better: WATCHTOWER__SINKS__n__SECRET or ``secret_file``. During a rotation
    several, separated by blanks: each delivery is signed with all of them."""
    timeout_seconds: Seconds = 15.0

    def mistakes(self) -> Iterator[Mistake]:
        yield from address_mistakes(self.url, "url")
        if not keys(self.secret):
            empty = not self.secret.get_secret_value().strip()
            what = "is empty" if empty else "is not a webhook secret"
            yield Mistake(("secret",), what, "write whsec_ and the base64 of 24 to 64 bytes")


class WebhookSink:
    """``ports.Sink``. Raises BadInput for an address or secret that cannot be used, without quoting it."""

    Settings = WebhookSinkSettings

    def __init__(self, settings: WebhookSinkSettings, clock: Clock, console: str = "") -> None:
        require(settings)
        self.name = settings.name
        self.words = Words(settings.templates, console)
        self._clock = clock
        self._url, self._keys = settings.url, keys(settings.secret)
        self._poster = Poster(clock, settings.timeout_seconds, [self._url.get_secret_value()])

    async def send(self, notice: Notice, attempt: int) -> Delivery:
        """One attempt. Never raises for what the receiver does."""
        body = event_body(notice, self.words.message(notice))
        timestamp = int(self._clock.now().wall)
        headers = {
            "webhook-id": notice.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(sign(key, notice.id, timestamp, body) for key in self._keys),
        }
        return await self._poster.send(self._url.get_secret_value(), body, headers, never=frozenset(), pages=True)

    async def close(self) -> None:
        await self._poster.close()


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


def sign(key: SecretBytes, id: str, timestamp: int, body: bytes) -> str:
    """``v1,`` + base64 of HMAC-SHA256 over ``id.timestamp.body``."""
    signed = b".".join((id.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key.get_secret_value(), signed, hashlib.sha256)).decode()
