"""Standard Webhooks 1.0.0: one signed POST per notice.

The id is the notice's and constant over retries; timestamp and signature belong to the attempt; what is signed are the
very bytes that are sent. The reply is judged by status and ``Retry-After`` alone, as the specification says: every
failure but 410 is tried again.

Source: standard-webhooks/standard-webhooks ``spec/standard-webhooks.md`` 1.0.0.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from pydantic import SecretBytes

from watchtower.ports import Clock, Delivery
from watchtower.sink_settings import WebhookSinkSettings
from watchtower.sinks.checking import keys, require
from watchtower.sinks.event import event_body
from watchtower.sinks.posting import Poster
from watchtower.sinks.templates import Words
from watchtower.vocabulary.incidents import Notice


class WebhookSink:
    """``ports.Sink``. Raises BadInput for an address or secret that cannot be used, without quoting it."""

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


def sign(key: SecretBytes, id: str, timestamp: int, body: bytes) -> str:
    """``v1,`` + base64 of HMAC-SHA256 over ``id.timestamp.body``."""
    signed = b".".join((id.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key.get_secret_value(), signed, hashlib.sha256)).decode()
