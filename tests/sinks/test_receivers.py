"""Receivers that lie, hang, redirect, throttle, drip and reset: every sink over HTTP against real sockets."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.sinks.receiver import DRIP, HANG, HUGE, RESET, Receiver, receiving, status
from tests.sinks.samples import ESCALATED, MODE, OPENED, WHSEC, sink_settings
from watchtower import catalogue
from watchtower.ports import Delivery
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.incidents import Notice

SECRET = "T0P-S3CRET"
HTTP_SINKS = ("alertmanager", "jsm", "opsgenie", "pagerduty", "slack", "teams", "webhook")


def answer(code: int, body: str, kind: str = "application/json") -> bytes:
    raw = body.encode()
    head = (
        f"HTTP/1.1 {code} Something\r\nContent-Type: {kind}\r\nContent-Length: {len(raw)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + raw


YES = {
    "alertmanager": answer(200, ""),
    "jsm": answer(202, '{"result":"Request will be processed","requestId":"r-1"}'),
    "opsgenie": answer(202, '{"result":"Request will be processed","requestId":"r-1"}'),
    "pagerduty": answer(202, '{"status":"success","message":"Event processed","dedup_key":"inc-6349d2"}'),
    "slack": answer(200, "ok", "text/html"),
    "teams": answer(202, ""),
    "webhook": answer(204, ""),
}


def settings(kind: str, base: str, timeout: float = 5.0) -> Any:
    url = f"{base}/{SECRET}"
    by_kind: dict[str, dict[str, Any]] = {
        "alertmanager": {"urls": (url,)},
        "jsm": {"url": url, "api_key": SECRET},
        "opsgenie": {"url": url, "api_key": SECRET},
        "pagerduty": {"url": url, "routing_key": SECRET},
        "webhook": {"url": url, "secret": WHSEC},
    }
    return sink_settings(kind, timeout_seconds=timeout, **by_kind.get(kind, {"url": url}))


async def sent(kind: str, base: str, notice: Notice = OPENED, timeout: float = 5.0) -> Delivery:
    sink = catalogue.load("sinks", kind)(settings(kind, base, timeout), HandClock())
    try:
        result: Delivery = await sink.send(notice, 1)
    finally:
        await sink.close()
    return result


def base(receiver: Receiver) -> str:
    return f"http://127.0.0.1:{receiver.port}"


@pytest.mark.parametrize("kind", HTTP_SINKS)
async def test_a_receiver_that_says_yes_in_its_own_way_has_it(kind: str) -> None:
    async with receiving(YES[kind]) as receiver:
        assert (await sent(kind, base(receiver))).delivered


EVERYBODY: list[tuple[bytes, bool, float | None, str]] = [
    (status(301, "Location: /elsewhere"), False, None, "HTTP 301: a redirect, not followed"),
    (status(401), False, None, "HTTP 401"),
    (status(403), False, None, "HTTP 403"),
    (status(404), False, None, "HTTP 404"),
    (status(429, "Retry-After: 7"), False, 7.0, "HTTP 429"),
    (status(429), False, 30.0, "HTTP 429"),
    (status(500), False, None, "HTTP 500"),
    (status(503, "Retry-After: 11"), False, 11.0, "HTTP 503"),
    (RESET, False, None, "ReadError"),
    (b"no HTTP at all\r\n\r\n", False, None, "RemoteProtocolError"),
]


@pytest.mark.parametrize("kind", HTTP_SINKS)
async def test_whatever_a_receiver_refuses_with_decides_what_happens_next(kind: str) -> None:
    for said, final, after, because in EVERYBODY:
        async with receiving(said) as receiver:
            result = await sent(kind, base(receiver))
        assert (result.delivered, result.final, result.retry_after, result.because) == (False, final, after, because)
        assert len(receiver.requests) == 1, "a redirect is not followed, nothing is repeated here"


@pytest.mark.parametrize("kind", [kind for kind in HTTP_SINKS if kind != "webhook"])
@pytest.mark.parametrize("code", [400, 413, 422])
async def test_a_notice_that_will_never_be_taken_is_not_tried_again(kind: str, code: int) -> None:
    async with receiving(status(code)) as receiver:
        result = await sent(kind, base(receiver))
    assert (result.delivered, result.final, result.gone, result.because) == (False, True, False, f"HTTP {code}")


@pytest.mark.parametrize(
    ("kind", "said", "final", "because"),
    [
        ("slack", answer(200, "invalid_token", "text/plain"), False, "HTTP 200 with invalid_token"),
        ("slack", answer(200, "invalid_payload", "text/plain"), True, "HTTP 200 with invalid_payload"),
        ("slack", answer(200, f"{SECRET} is wrong", "text/plain"), False, "HTTP 200 with another answer than ok"),
        ("slack", answer(200, "", "text/plain"), False, "HTTP 200 with another answer than ok"),
        ("slack", HUGE, False, "HTTP 200 with another answer than ok"),
        ("pagerduty", answer(202, '{"status":"invalid event"}'), False, "HTTP 202, but no success in the body"),
        ("pagerduty", answer(202, '{"status":"succ'), False, "HTTP 202, but no success in the body"),
        ("pagerduty", answer(200, "ok"), False, "HTTP 200, but no success in the body"),
        ("opsgenie", answer(202, '{"message":"Key is invalid"}'), False, "HTTP 202, but no request id in the body"),
        ("jsm", answer(202, "[]"), False, "HTTP 202, but no request id in the body"),
        (
            "teams",
            answer(200, "Microsoft Teams endpoint returned HTTP error 429"),
            False,
            "HTTP 200 with error 429 inside",
        ),
        (
            "teams",
            answer(200, "Microsoft Teams endpoint returned HTTP error 413"),
            True,
            "HTTP 200 with error 413 inside",
        ),
        ("teams", answer(200, '{"error":{"code":"x"}}'), False, "HTTP 200 with an error inside"),
    ],
)
async def test_a_receiver_that_says_no_with_a_success_status_is_not_believed(
    kind: str, said: bytes, final: bool, because: str
) -> None:
    async with receiving(said) as receiver:
        result = await sent(kind, base(receiver))
    assert (result.delivered, result.final, result.because) == (False, final, because)


@pytest.mark.parametrize("kind", ["alertmanager", "pagerduty", "opsgenie", "teams"])
async def test_a_web_page_is_no_receiver(kind: str) -> None:
    async with receiving(answer(200, "<html>Please log in</html>", "text/html; charset=utf-8")) as receiver:
        result = await sent(kind, base(receiver))
    assert not result.delivered
    assert result.because == "HTTP 200 with a web page: a proxy or a login answered"


@pytest.mark.parametrize("kind", HTTP_SINKS)
@pytest.mark.parametrize("said", [HANG, DRIP])
async def test_a_receiver_that_never_ends_costs_the_timeout(kind: str, said: bytes) -> None:
    async with receiving(said) as receiver, asyncio.timeout(20):
        result = await sent(kind, base(receiver), timeout=0.3)
    assert (result.delivered, result.final) == (False, False)
    assert result.because in ("timeout", "ReadTimeout")


async def test_a_receiver_without_tls_where_tls_was_promised_gets_nothing() -> None:
    got: list[bytes] = []

    async def in_the_clear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.read(4096))
        writer.write(status(400))
        writer.close()

    server = await asyncio.start_server(in_the_clear, "127.0.0.1", 0)
    async with server:
        result = await sent("slack", f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert (result.delivered, result.because) == (False, "TLS: no handshake")
    assert b"chat-7b" not in b"".join(got)


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with receiving(ssl_context=context) as receiver:
        result = await sent("slack", f"https://127.0.0.1:{receiver.port}")
    assert (result.delivered, result.because) == (False, "TLS: the certificate is not trusted")


@pytest.mark.parametrize("kind", HTTP_SINKS)
async def test_every_attempt_says_the_same(kind: str) -> None:
    async with receiving(YES[kind]) as receiver:
        await sent(kind, base(receiver), ESCALATED)
        first = [request.body for request in receiver.requests]
        await sent(kind, base(receiver), ESCALATED)
    assert [request.body for request in receiver.requests] == first * 2


@pytest.mark.parametrize("kind", ["alertmanager", "jsm", "opsgenie", "pagerduty"])
async def test_what_opens_no_alert_is_not_sent_to_those_who_keep_alerts(kind: str) -> None:
    async with receiving(YES[kind]) as receiver:
        assert (await sent(kind, base(receiver), MODE)).delivered
    assert receiver.requests == []


@pytest.mark.parametrize("kind", HTTP_SINKS)
async def test_no_address_key_or_answer_is_ever_repeated(
    kind: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[Any] = []
    for lie in (YES[kind], answer(200, SECRET), status(302, f"Location: /{SECRET}"), RESET, status(413)):
        async with receiving(lie) as receiver:
            result = await sent(kind, base(receiver))
            said += [result, result.because]
    output = capsys.readouterr()
    assert SECRET not in caplog.text + output.out + output.err + repr(said)


@pytest.mark.parametrize("kind", HTTP_SINKS)
async def test_the_longest_notice_still_fits(kind: str) -> None:
    long = "🔥<&> " * 20_000
    notice = msgspec.structs.replace(
        ESCALATED, target=long, what=long, news=long, next_command=long, details={"rules": long, "release": long}
    )
    async with receiving(YES[kind]) as receiver:
        assert (await sent(kind, base(receiver), notice)).delivered
    most = {"teams": 24_000, "webhook": 20_000}.get(kind, 200_000)
    for request in receiver.requests:
        assert len(request.body) < most
        json.loads(request.body)
