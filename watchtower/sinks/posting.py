"""One HTTP request to a receiver that may lie, hang, redirect or drip, judged into a ``Delivery``.

A success needs more than a 2xx: a web page in place of an answer is a proxy or a login that swallowed the alert, and
some receivers say no in the body. Redirects are failures and never followed. At most ``MOST_BYTES`` of an answer are
read, and no byte of it is ever repeated: what is said about it is a kind. Addresses are credentials, and stay out of
logs, errors and reprs.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, NamedTuple

import httpx
import msgspec

from watchtower import __version__
from watchtower.http_clients import CLOSE, NO_KEEP_ALIVE, is_local
from watchtower.ports import Clock, Delivery
from watchtower.sinks.delivery import DELIVERED, final, gone, retry

THROTTLED = frozenset({429, 502, 504})
THROTTLE_SECONDS = 30.0
"""Rest after a throttling status without ``Retry-After``."""
LONGEST_RETRY_AFTER_SECONDS = 3600.0
"""A receiver may ask for an hour; an alert that waits longer is no alert."""
NEVER = frozenset({400, 413, 422})
"""This very notice will never be taken. Any other refusal (401, 403, 404, …) ends when somebody mends an address or a
key, and then what was said meanwhile should still arrive."""
MOST_BYTES = 4096


class HttpReply(NamedTuple):
    """What came back."""

    status: int
    text: str
    """The beginning of the body."""

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; empty when it is anything else."""
        try:
            value = msgspec.json.decode(self.text)
        except (msgspec.DecodeError, UnicodeEncodeError):
            return {}
        return value if isinstance(value, dict) else {}


Judge = Callable[[HttpReply], Delivery]


def taken(_: HttpReply) -> Delivery:
    """A 2xx is enough."""
    return DELIVERED


class Poster:
    """An HTTP client of one sink. ``local``: its receiver is on this machine, so no proxy stands between."""

    def __init__(self, clock: Clock, timeout_seconds: float, addresses: list[str]) -> None:
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        # httpx names every URL it calls at INFO, httpcore every header at DEBUG: both are credentials here.
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._client = httpx.AsyncClient(
            follow_redirects=False,
            timeout=timeout_seconds,
            verify=_trusted(),
            trust_env=not all(map(is_local, addresses)),  # an egress proxy is welcome, but not between us and ourselves
            limits=NO_KEEP_ALIVE,
            headers={"user-agent": f"watchtower/{__version__}", "content-type": "application/json", **CLOSE},
        )

    async def send(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "POST",
        never: frozenset[int] = NEVER,
        judge: Judge = taken,
        pages: bool = False,
    ) -> Delivery:
        """One attempt, in at most ``timeout_seconds`` altogether. Never raises for what the receiver does.

        ``never``: statuses after which this notice is not tried again. ``judge`` looks into the body of a 2xx.
        ``pages``: an HTML page counts as an answer."""
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),
                self._client.stream(method, url, content=body, headers=dict(headers or {})) as reply,
            ):
                if not 200 <= reply.status_code < 300:
                    return self._refused(reply, never)
                if not pages and "text/html" in reply.headers.get("content-type", ""):
                    return retry(f"HTTP {reply.status_code} with a web page: a proxy or a login answered")
                text = "" if judge is taken else await _beginning(reply)
                return judge(HttpReply(reply.status_code, text))
        except TimeoutError:
            return retry("timeout")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as problem:
            return retry(_kind(problem))

    async def close(self) -> None:
        await self._client.aclose()

    def _refused(self, reply: httpx.Response, never: frozenset[int]) -> Delivery:
        status = reply.status_code
        if status == 410:
            return gone("HTTP 410: the receiver is gone")
        if 300 <= status < 400:
            return retry(f"HTTP {status}: a redirect, not followed")
        if status in never:
            return final(f"HTTP {status}")
        after = retry_after_seconds(reply.headers.get("retry-after", ""), self._clock.now().wall)
        if after is None and status in THROTTLED:
            after = THROTTLE_SECONDS
        return retry(f"HTTP {status}", after)


@lru_cache(maxsize=1)
def _trusted() -> ssl.SSLContext:
    """Whose certificates count; read once, because that takes longer than everything else at a start."""
    return httpx.create_ssl_context()


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


async def _beginning(reply: httpx.Response) -> str:
    read = b""
    async for piece in reply.aiter_bytes(MOST_BYTES):
        read += piece
        if len(read) >= MOST_BYTES:
            break
    return read[:MOST_BYTES].decode("utf-8", "replace")


def _kind(problem: BaseException) -> str:
    """The problem's kind; a handshake that failed is told apart, because its cure is another one."""
    cause: BaseException | None = problem
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "TLS: the certificate is not trusted"
        if isinstance(cause, ssl.SSLError):
            return "TLS: no handshake"
        cause = cause.__cause__ or cause.__context__
    return type(problem).__name__
