from __future__ import annotations

import base64
import hashlib
import json
import logging
import time
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import Any

import pytest
from pydantic import SecretBytes, SecretStr

from tests.sinks.receiver import DRIP, HANG, HUGE, OK, RESET, Receiver, receiving, status
from tests.storage.samples import a_notice
from watchtower.clock import SystemClock
from watchtower.sinks.posting import retry_after_seconds
from watchtower.sinks.webhook import WebhookSink, WebhookSinkSettings, sign
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.errors import BadInput
from watchtower.vocabulary.incidents import NoticeKind

KEY = bytes(range(32))
PLANTED = "whsec_" + base64.b64encode(KEY).decode()
TOKEN_IN_URL = "T0P-S3CRET-PATH"


def settings(url: str, secret: str = PLANTED, timeout: float = 5.0) -> WebhookSinkSettings:
    return WebhookSinkSettings(kind="webhook", url=SecretStr(url), secret=SecretStr(secret), timeout_seconds=timeout)


@asynccontextmanager
async def sink_to(receiver: Receiver, *, timeout: float = 5.0, secret: str = PLANTED) -> AsyncIterator[WebhookSink]:
    sink = WebhookSink(settings(receiver.url("/" + TOKEN_IN_URL), secret, timeout), HandClock())
    try:
        yield sink
    finally:
        await sink.close()


def hmac_by_hand(key: bytes, message: bytes) -> str:
    """RFC 2104 written out, so that no library checks itself."""
    padded = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded) + message).digest()
    return base64.b64encode(hashlib.sha256(bytes(byte ^ 0x5C for byte in padded) + inner).digest()).decode()


def test_the_published_test_vector_is_signed_as_published() -> None:
    key = SecretBytes(base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    signature = sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_a_notice_arrives_signed_over_the_very_bytes_that_were_sent() -> None:
    async with receiving(OK) as receiver, sink_to(receiver) as sink:
        result = await sink.send(a_notice("ntc-7"), 1)
    assert result.delivered
    (request,) = receiver.requests
    assert request.line == f"POST /{TOKEN_IN_URL} HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    timestamp = request.headers["webhook-timestamp"]
    assert timestamp == str(int(HandClock().now().wall))
    signed = b"ntc-7." + timestamp.encode() + b"." + request.body
    assert request.headers["webhook-signature"] == "v1," + hmac_by_hand(KEY, signed)
    event = json.loads(request.body)
    assert (event["type"], event["timestamp"]) == ("incident.opened", "2026-01-01T00:00:00.000Z")
    assert event["data"]["next_command"] == "watchtower explain inc-1"


async def test_during_a_rotation_both_secrets_sign() -> None:
    old = b"o" * 24
    both = f"{PLANTED} whsec_{base64.b64encode(old).decode()}"
    async with receiving(OK) as receiver, sink_to(receiver, secret=both) as sink:
        await sink.send(a_notice("ntc-7"), 1)
    (request,) = receiver.requests
    signed = f"ntc-7.{request.headers['webhook-timestamp']}.".encode() + request.body
    expected = [f"v1,{hmac_by_hand(key, signed)}" for key in (KEY, old)]
    assert request.headers["webhook-signature"].split(" ") == expected


async def test_id_and_body_stay_the_same_over_attempts_while_the_timestamp_moves() -> None:
    clock = HandClock()
    async with receiving(status(500), OK) as receiver:
        sink = WebhookSink(settings(receiver.url()), clock)
        await sink.send(a_notice(), 1)
        clock.advance(5)
        await sink.send(a_notice(), 2)
        await sink.close()
    first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == "ntc-1"
    assert first.body == second.body
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 5
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


IN_90_SECONDS = formatdate(HandClock().now().wall + 90, usegmt=True)


@pytest.mark.parametrize(
    ("answer", "delivered", "gone", "retry_after", "because"),
    [
        (status(200), True, False, None, ""),
        (status(202), True, False, None, ""),
        (status(204), True, False, None, ""),
        (status(301, "Location: /elsewhere"), False, False, None, "HTTP 301: a redirect, not followed"),
        (status(400), False, False, None, "HTTP 400"),
        (status(404), False, False, None, "HTTP 404"),
        (status(410), False, True, None, "HTTP 410: the receiver is gone"),
        (status(413), False, False, None, "HTTP 413"),
        (status(429), False, False, 30.0, "HTTP 429"),
        (status(429, "Retry-After: 7"), False, False, 7.0, "HTTP 429"),
        (status(429, "Retry-After: soon"), False, False, 30.0, "HTTP 429"),
        (status(429, f"Retry-After: {IN_90_SECONDS}"), False, False, 90.0, "HTTP 429"),
        (status(500), False, False, None, "HTTP 500"),
        (status(502), False, False, 30.0, "HTTP 502"),
        (status(503, "Retry-After: 11"), False, False, 11.0, "HTTP 503"),
        (status(504), False, False, 30.0, "HTTP 504"),
        (RESET, False, False, None, "ReadError"),
        (b"no HTTP at all\r\n\r\n", False, False, None, "RemoteProtocolError"),
        (HUGE, True, False, None, ""),
    ],
)
async def test_what_the_receiver_says_decides_what_happens_next(
    answer: bytes, delivered: bool, gone: bool, retry_after: float | None, because: str
) -> None:
    async with receiving(answer) as receiver, sink_to(receiver) as sink:
        result = await sink.send(a_notice(), 1)
    assert (result.delivered, result.gone, result.final) == (delivered, gone, gone)
    assert (result.retry_after, result.because) == (retry_after, because)
    assert len(receiver.requests) == 1, "a redirect is not followed, nothing is repeated here"


@pytest.mark.parametrize("answer", [HANG, DRIP])
async def test_a_receiver_that_never_comes_to_an_end_costs_the_timeout_and_no_more(answer: bytes) -> None:
    async with receiving(answer) as receiver, sink_to(receiver, timeout=0.3) as sink:
        begun = time.monotonic()
        result = await sink.send(a_notice(), 1)
        assert time.monotonic() - begun < 1.5
    assert not result.delivered and not result.final
    assert result.because in ("timeout", "ReadTimeout")


async def test_nobody_listening_is_a_retry() -> None:
    async with receiving() as receiver:
        pass
    async with sink_to(receiver) as sink:
        result = await sink.send(a_notice(), 1)
    assert (result.delivered, result.final, result.because) == (False, False, "ConnectError")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("", None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("-5", None),
        ("1.5", None),
        ("99999999999999999999999", 3600.0),
        ("Thu, 01 Jan 2026 00:02:00 GMT", 120.0),
        ("Wed, 31 Dec 2025 23:00:00 GMT", 0.0),
        ("Fri, 01 Jan 2027 00:00:00 GMT", 3600.0),
        ("Thu, 99 Jan 2026 00:02:00 GMT", None),
        ("٣", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date_and_bounded(value: str, seconds: float | None) -> None:
    assert retry_after_seconds(value, HandClock().now().wall) == seconds


@pytest.mark.parametrize(
    ("url", "secret", "expected"),
    [
        ("http://alerts.example/T0P-S3CRET-PATH", PLANTED, "url · sends alerts in the clear"),
        ("ftp://alerts.example/T0P-S3CRET-PATH", PLANTED, "url · is not an https address"),
        ("T0P-S3CRET-PATH", PLANTED, "url · is not an https address"),
        ("https://alerts.example:T0P-S3CRET-PATH/", PLANTED, "url · is not a URL"),
        ("https://alerts.example/", "T0P-S3CRET-PATH", "secret · is not a webhook secret"),
        ("https://alerts.example/", "whsec_T0P-S3CRET-PATH", "secret · is not a webhook secret"),
        ("https://alerts.example/", "whsec_dG9vIHNob3J0", "secret · is not a webhook secret"),
        ("https://alerts.example/", " ", "secret · is empty"),
    ],
)
def test_an_unusable_address_or_secret_is_named_but_not_quoted(url: str, secret: str, expected: str) -> None:
    with pytest.raises(BadInput) as raised:
        WebhookSink(settings(url, secret), HandClock())
    assert expected in str(raised.value)
    assert TOKEN_IN_URL not in str(raised.value) + repr(raised.value)
    assert TOKEN_IN_URL not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "[::1]", "localhost"])
def test_plain_http_is_allowed_to_this_machine(host: str) -> None:
    WebhookSink(settings(f"http://{host}:1/hook"), HandClock())


async def test_neither_address_nor_secret_reaches_logs_errors_or_reprs(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[Any] = []
    for answer in (OK, status(500), RESET, status(302, "Location: http://127.0.0.1:1/"), b"rubbish\r\n\r\n"):
        async with receiving(answer) as receiver, sink_to(receiver) as sink:
            said += [await sink.send(a_notice(), 1), sink, vars(sink)]
    output = capsys.readouterr()
    everything = caplog.text + output.out + output.err + repr(said)
    assert len(said) == 15
    for planted in (TOKEN_IN_URL, PLANTED, PLANTED.removeprefix("whsec_"), repr(KEY)):
        assert planted not in everything


async def test_the_system_clock_signs_the_present_second() -> None:
    async with receiving(OK) as receiver:
        sink = WebhookSink(settings(receiver.url()), SystemClock())
        await sink.send(a_notice(kind=NoticeKind.BLIND), 1)
        await sink.close()
    assert abs(int(receiver.requests[0].headers["webhook-timestamp"]) - time.time()) < 5
