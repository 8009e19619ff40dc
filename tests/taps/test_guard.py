"""Control paths do not reach the engine, in no disguise; everything else does."""

from __future__ import annotations

import asyncio

import pytest

from tests.taps.conftest import Start, until
from watchtower.taps.guard import CHANGED_PATHS, CONTROL_PATHS, MOST_PATH_BYTES, MOST_SEGMENTS, Guard, normal_path

DISGUISES = [
    b"/sleep",
    b"/sleep?level=2",
    b"/sleep/",
    b"//sleep",
    b"/./sleep",
    b"/x/../sleep",
    b"/v1/../sleep",
    b"/%73leep",
    b"/%2573leep",
    b"/SLEEP",
    b"/x%2f..%2Fsleep",
    b"/\\sleep",
    b"/sleep;x=1",
    b"/sleep#x",
    b"/sleep%3Flevel=2",
    b"http://engine:8000/sleep",
    b"HTTP://engine/sleep?x",
    b"/engine/sleep",
    b"/collective_rpc",
    b"/update_weights_from_disk",
    b"/v1/load_lora_adapter",
    b"/v1//load_lora_adapter",
    b"/load_lora_adapter",
    b"/fault_tolerance/apply",
    b"/sim/fault",
    b"/weight_checker",
    b"/flush_cache",
    b"/sleep%0A",
    b"/x%3F/../sleep",
    b"/adapters",
    b"/adapters/some-lora",
    b"/slots/0?action=erase",
    b"/props",
    b"/%u0070rops",
    b"/%U0070rops",
    b"%u002fprops",
    b"/%25u0070rops",
    b"/%u0025u0070rops",
    b"/%u002570rops",
    b"/%u0073lots/0?action=erase",
    b"/x%u002f..%u002fprops",
    b"/slots/",
    b"/slots/.",
    b"/slots/..",
    b"/slots/../../..",
    b"/slots/%2e%2e",
    b"/slots/%252e%252e",
    b"/slots/x%2f..",
    b"/slots/;",
    b"/slots/%3b0",
    b"/slots/%23",
    b"/slots/%20",
    b"/slots;x/..",
    b"/%73lots/..",
    b"/slots\\..",
    b"/props//..",
]
HARMLESS = [
    b"/",
    b"*",
    b"/v1/chat/completions",
    b"/v1/models",
    b"/health",
    b"/metrics",
    b"/is_paused",
    b"/is_sleeping",
    b"/weight_info",
    b"/fault_tolerance/status",
    b"/sleepy",
    b"/v1/models/sleep-1b",
    b"/v1/completions?next=/sleep",
    b"/v1/models/caf%u00e9",
    b"/v1/models/%ud800%u12",
    b"/v1//models/./",
    b"/x/../v1/models;x=1",
]


@pytest.mark.parametrize("target", DISGUISES)
def test_a_control_path_is_refused_in_every_disguise(target: bytes) -> None:
    assert Guard().refuses_request("POST", target)


@pytest.mark.parametrize("target", HARMLESS)
def test_a_harmless_path_is_not(target: bytes) -> None:
    assert not Guard().refuses_request("GET", target)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_settings_may_be_looked_at(method: str) -> None:
    assert not Guard().refuses("/props", method)
    assert Guard().refuses("/flush_cache", method), "SGLang obeys a GET"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "get", "QUERY"])
def test_they_are_changed_by_any_other_method(method: str) -> None:
    assert Guard().refuses("/props", method)


@pytest.mark.parametrize("pattern", CONTROL_PATHS + CHANGED_PATHS)
def test_every_listed_path_is_refused_framed_and_unframed(pattern: str) -> None:
    path = pattern.removesuffix("*") + ("now" if pattern.endswith("*") else "")
    assert Guard().refuses(normal_path(path.encode()))
    assert Guard().refuses_request("POST", path.encode())


def test_a_path_that_is_too_long_to_be_judged_is_refused() -> None:
    long = b"/abcdefg" * (MOST_PATH_BYTES // 8)
    assert not Guard().refuses(normal_path(long))
    assert not Guard().refuses(normal_path(b"/v1/completions?" + long + long))
    assert Guard().refuses(normal_path(long + b"a"), "GET")
    assert not Guard(enabled=False).refuses(normal_path(long + b"a"))


@pytest.mark.parametrize("separator", [b"/", b"\\", b"%2f", b"%255c"])
def test_so_is_a_path_of_too_many_segments(separator: bytes) -> None:
    assert not Guard().refuses_request("GET", b"/v1/" + separator * (MOST_SEGMENTS - 2) + b"models")
    assert Guard().refuses_request("GET", b"/v1/" + separator * MOST_SEGMENTS + b"models")


def test_what_the_configuration_allows_is_allowed() -> None:
    guard = Guard(allow_paths=("/v1/load_lora_adapter", "/sim/*"))
    assert not guard.refuses("/v1/load_lora_adapter")
    assert not guard.refuses("/sim/fault")
    assert guard.refuses_request("POST", b"/sleep")
    assert not guard.refuses_request("POST", b"/sim/..")
    assert not Guard(enabled=False).refuses("/sleep")


# ── on the wire ─────────────────────────────────────────────────────────────────────────────────


async def test_not_one_byte_of_a_guarded_request_is_forwarded(start: Start) -> None:
    bench = await start()
    get = b"GET /health HTTP/1.1\r\n\r\n"
    answer = await bench.ask(get + b"POST /sleep?level=2 HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody" + get)

    assert answer.count(b"HTTP/1.1 200 OK") == 1
    assert b"HTTP/1.1 403 Forbidden\r\n" in answer
    assert b'"code":"guarded"' in answer
    assert bytes(bench.engine.received[0]) == get
    assert bench.caused() == {"guarded": 1}


SMUGGLED = {
    "length and coding disagree": b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"0\r\n\r\nPOST /sleep HTTP/1.1\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 30\r\n\r\nPOST /sleep HTTP/1.1\r\n\r\n",
    "bare LF": b"POST /sleep HTTP/1.1\nHost: x\n\n",
    "obs-fold": b"POST /%73leep HTTP/1.1\r\nHost: x\r\n y\r\n\r\n",
    "a broken chunk": b"POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"1\r\nxy\r\n0\r\n\r\nPOST /sleep HTTP/1.1\r\n\r\n",
    "the body of an upgrade": b"POST /v1/completions HTTP/1.1\r\nUpgrade: x\r\nConnection: upgrade\r\n"
    b"Content-Length: 24\r\n\r\nPOST /sleep HTTP/1.1\r\n\r\n",
    "the chunks of an upgrade": b"POST /v1/completions HTTP/1.1\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"18\r\nPOST /sleep HTTP/1.1\r\n\r\n\r\n0\r\n\r\n",
    "the body of CONNECT": b"CONNECT e:80 HTTP/1.1\r\nContent-Length: 24\r\n\r\nPOST /sleep HTTP/1.1\r\n\r\n",
    "a request after the body of an upgrade": b"POST /v1/completions HTTP/1.1\r\nUpgrade: x\r\n"
    b"Content-Length: 2\r\n\r\n{}POST / HTTP/1.1\r\nX: POST /sleep HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
    "HTTP/0.9": b"POST /sleep\r\n\r\n",
    "a method in small letters": b"\x00post /sleep HTTP/1.1\r\n\r\n",
    "many blanks": b"POST  " + b" " * 40 + b"/sleep HTTP/1.1\r\n\r\n",
    "an endless target": b"POST  /sleep" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
    "a long scheme": b"POST / HTTP/1.1\r\nUpgrade: x\r\nContent-Length: 77\r\n\r\n"
    b"POST " + b"a" * 40 + b"://e/sleep HTTP/1.1\r\nHost: e\r\n\r\n",
    "an ignored upgrade": b"GET /health HTTP/1.1\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    b"POST /sleep HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", SMUGGLED.values(), ids=SMUGGLED.keys())
@pytest.mark.parametrize("step", [1, 1000])
async def test_ambiguous_framing_does_not_smuggle_a_control_path(start: Start, request_bytes: bytes, step: int) -> None:
    bench = await start()
    reader, writer = await bench.client()
    try:
        for begin in range(0, len(request_bytes), step):
            if writer.transport.is_closing():
                break
            writer.write(request_bytes[begin : begin + step])
            await asyncio.sleep(0)
        await bench.read(reader)
    except ConnectionError:
        pass

    received = b"".join(bench.engine.received)
    assert b"/sleep " not in received
    assert b"/sleep\r" not in received
    assert b"/%73leep " not in received
    assert sum(bench.caused().values()) == 1


async def test_opaque_bytes_without_a_control_path_pass(start: Start) -> None:
    bench = await start()
    opaque = b"POST /v1/completions HTTP/1.1\nHost: x\n\n"
    _, writer = await bench.client()
    writer.write(opaque)
    await until(lambda: bool(bench.engine.received) and len(bench.engine.received[0]) >= len(opaque))

    assert bytes(bench.engine.received[0]) == opaque
    assert bench.caused() == {}


async def test_an_allowed_path_passes(start: Start) -> None:
    bench = await start(allow_paths=("/sleep",))
    await bench.ask(b"POST /sleep HTTP/1.1\r\nContent-Length: 0\r\n\r\n")

    assert bench.engine.received
