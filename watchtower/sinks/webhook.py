"""Standard Webhooks 1.0.0: one signed POST per notice.

The id is the notice's and constant over retries; timestamp and signature belong to the attempt; what is signed are the
very bytes that are sent. Redirects are failures and never followed. The reply is judged by status and ``Retry-After``
alone, its body is not read. The URL is a credential like the secret: neither appears in an error, a log or a repr.

Source: standard-webhooks/standard-webhooks ``spec/standard-webhooks.md`` 1.0.0.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import ipaddress
import logging
from collections.abc import Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime

import httpx
from pydantic import SecretBytes, SecretStr

from watchtower import __version__
from watchtower.ports import Clock, Delivery
from watchtower.settings import WebhookSinkSettings
from watchtower.sinks.delivery import DELIVERED, gone, retry
from watchtower.sinks.event import event_body
from watchtower.vocabulary.errors import BadInput, Problem
from watchtower.vocabulary.incidents import Notice

THROTTLED = frozenset({429, 502, 504})
THROTTLE_SECONDS = 30.0
"""Rest after a throttling status without ``Retry-After``."""
LONGEST_RETRY_AFTER_SECONDS = 3600.0
"""A receiver may ask for an hour; an alert that waits longer is no alert."""


class WebhookSink:
    """``ports.Sink``. Raises BadInput for an address or secret that cannot be used, without quoting it."""

    def __init__(self, settings: WebhookSinkSettings, clock: Clock) -> None:
        self.name = settings.name
        self._clock = clock
        self._timeout_seconds = settings.timeout_seconds
        self._keys = _keys(settings)
        self._url, loopback = _address(settings)
        # httpx names every URL it calls at INFO, httpcore every header at DEBUG: both are credentials here.
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._client = httpx.AsyncClient(
            follow_redirects=False,
            timeout=settings.timeout_seconds,
            trust_env=not loopback,  # an egress proxy is welcome, but not between us and ourselves
            headers={"user-agent": f"watchtower/{__version__}", "content-type": "application/json"},
        )

    async def send(self, notice: Notice, attempt: int) -> Delivery:
        """One attempt, in at most ``timeout_seconds`` altogether. Never raises for what the receiver does."""
        body = event_body(notice)
        timestamp = int(self._clock.now().wall)
        headers = {
            "webhook-id": notice.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(sign(key, notice.id, timestamp, body) for key in self._keys),
        }
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),
                self._client.stream("POST", self._url.get_secret_value(), content=body, headers=headers) as reply,
            ):
                return self._judge(reply)
        except TimeoutError:
            return retry("timeout")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as problem:
            return retry(type(problem).__name__)

    async def close(self) -> None:
        await self._client.aclose()

    def _judge(self, reply: httpx.Response) -> Delivery:
        status = reply.status_code
        if 200 <= status < 300:
            return DELIVERED
        if status == 410:
            return gone("HTTP 410: the receiver is gone")
        if 300 <= status < 400:
            return retry(f"HTTP {status}: a redirect, not followed")
        after = retry_after_seconds(reply.headers.get("retry-after", ""), self._clock.now().wall)
        if after is None and status in THROTTLED:
            after = THROTTLE_SECONDS
        return retry(f"HTTP {status}", after)


def sign(key: SecretBytes, id: str, timestamp: int, body: bytes) -> str:
    """``v1,`` + base64 of HMAC-SHA256 over ``id.timestamp.body``."""
    signed = b".".join((id.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key.get_secret_value(), signed, hashlib.sha256)).decode()


def retry_after_seconds(value: str, wall: float) -> float | None:
    """``Retry-After`` as seconds from now, 0 to one hour; None when there is none, or it is neither a number of seconds
    nor an HTTP date."""
    value = value.strip()
    if not value:
        return None
    if value.isascii() and value.isdigit():
        seconds = float(value[:12])
    else:
        try:
            when = parsedate_to_datetime(value)
        except (ValueError, TypeError, OverflowError):
            return None
        seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - wall
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)


def _keys(settings: WebhookSinkSettings) -> Sequence[SecretBytes]:
    """Decoded keys, newest first; several, separated by blanks, while a secret is being rotated."""
    keys = []
    for text in settings.secret.get_secret_value().split():
        try:
            key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not (text.startswith("whsec_") and 24 <= len(key) <= 64):
            raise _bad(settings, "secret", "is not a webhook secret", "write whsec_ and the base64 of 24 to 64 bytes")
        keys.append(SecretBytes(key))
    if not keys:
        raise _bad(settings, "secret", "is empty", "write whsec_ and the base64 of 24 to 64 bytes")
    return keys


def _address(settings: WebhookSinkSettings) -> tuple[SecretStr, bool]:
    """The URL, and whether it is on this machine."""
    try:
        url = httpx.URL(settings.url.get_secret_value())
    except (httpx.InvalidURL, ValueError):
        # from None, against our habit: the cause quotes the URL
        raise _bad(settings, "url", "is not a URL", "write https://…") from None
    loopback = _is_loopback(url.host)
    if not url.host or url.scheme not in ("https", "http"):
        raise _bad(settings, "url", "is not an https address", "write https://…")
    if url.scheme == "http" and not loopback:
        raise _bad(settings, "url", "sends alerts in the clear", "use https:// (http:// only to this machine)")
    return settings.url, loopback


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bad(settings: WebhookSinkSettings, path: str, what: str, cure: str) -> BadInput:
    return BadInput([Problem(f"sink {settings.name}", path, what, cure)])
