"""What nobody reads is counted by route, keeps the relay from looking idle, and is waited for."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable

import pytest

from tests.taps.conftest import ANSWER, Bench, Start, until
from watchtower.taps.route_counts import OTHER, QUIET_NS, Bursts, RouteCounts, route_name
from watchtower.vocabulary.facts import Ending
from watchtower.vocabulary.unread import RouteUnread, UnreadCause

JSON = b"content-type: application/json\r\ncontent-length: 2\r\n"


def post(path: str) -> bytes:
    return f"POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{{}}".encode()


def unread(bench: Bench) -> dict[tuple[str, str], RouteUnread]:
    bench.relay.passing.restate()
    return {(route.route, route.cause.value): route for route in bench.relay.passing.take()}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/embeddings", "/v1/embeddings"),
        ("/team-a/v1/embeddings", "/v1/embeddings"),
        ("/tenant/4711/secret", OTHER),
        ("/", "/"),
        ("/v1/embeddings/x", OTHER),
    ],
)
def test_a_route_has_a_name_out_of_a_closed_list_under_any_prefix(path: str, name: str) -> None:
    assert route_name(path) == name


@pytest.mark.parametrize(
    ("status", "ending"),
    [
        (b"200 OK", "unobserved"),
        (b"404 Not Found", "refused"),
        (b"429 Too Many Requests", "shed"),
        (b"500 Internal Server Error", "error"),
        (b"503 Service Unavailable", "error"),
        (b"503 Service Unavailable\r\nretry-after: 1", "shed"),
    ],
)
async def test_an_answer_on_a_route_without_a_dialect_is_known_by_status_and_duration(
    start: Start, status: bytes, ending: str
) -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n{}")
        await asyncio.sleep(0.05)
        writer.write(b"HTTP/1.1 " + status + b"\r\n" + JSON + b"\r\n{}")

    bench = await start(slow)
    await bench.ask(post("/cohere/v2/chat"))
    found = unread(bench)["/cohere/v2/chat", "route"]
    assert (found.requests, found.endings) == (1, {ending: 1})
    assert found.statuses == {f"{status[:1].decode()}xx": 1}
    assert found.seconds > 0
    assert bench.relay.passing.answering == 0


async def test_a_path_that_nobody_knows_is_counted_as_other_however_many_there_are(start: Start) -> None:
    bench = await start()
    for number in range(20):
        await bench.ask(post(f"/custom/{number}"), quiet_seconds=0.02)
    assert {key: found.requests for key, found in unread(bench).items()} == {(OTHER, "route"): 20}


async def test_a_compressed_answer_on_a_route_that_is_read_is_counted_once_it_has_ended(start: Start) -> None:
    body = gzip.compress(b"{}")
    go = asyncio.Event()

    async def compressed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n{}")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n")
        writer.write(b"content-length: %d\r\n\r\n" % len(body) + body[:5])
        await go.wait()
        writer.write(body[5:])

    bench = await start(compressed)
    asked = asyncio.create_task(bench.ask(post("/v1/chat/completions")))
    await until(lambda: bench.relay.counters["responses_unobserved"] == 1)
    assert not bench.relay.exchanges.open, "it is never read as hung"
    assert bench.relay.passing.answering == bench.relay.passing.unread == 1, "and is under way all the same"
    go.set()
    await asked
    assert unread(bench)["/v1/chat/completions", "form"].statuses == {"2xx": 1}


async def test_an_answer_that_a_dialect_reads_is_not_counted_a_second_time(start: Start) -> None:
    bench = await start()
    await bench.ask(post("/v1/completions"))
    assert not unread(bench)
    assert bench.relay.passing.answering == 0


async def test_looks_are_counted_apart_and_are_no_work(start: Start) -> None:
    seen: list[int] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        seen.append(bench.relay.passing.unread)
        writer.write(ANSWER)

    bench = await start(answer)
    await bench.ask(b"GET /v1/models HTTP/1.1\r\nhost: a\r\n\r\n")
    assert seen == [0]
    assert unread(bench)["/v1/models", "look"].requests == 1


async def _leave(bench: Bench, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _cut(bench: Bench, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    bench.engine.writers[0].transport.abort()


@pytest.mark.parametrize(("end", "ending"), [(_leave, "client_left"), (_cut, "truncated")])
async def test_an_unread_answer_without_its_end_says_whose_doing_it_was(
    start: Start,
    end: Callable[[Bench, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    ending: str,
) -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n{}")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{")
        await reader.read()

    bench = await start(half)
    reader, writer = await bench.client()
    writer.write(post("/cohere/v2/chat"))
    await reader.readuntil(b"{")
    await end(bench, reader, writer)
    await until(lambda: bench.relay.passing.has_news)
    assert unread(bench)["/cohere/v2/chat", "route"].endings == {ending: 1}
    assert bench.relay.passing.answering == 0


async def test_our_502_on_an_unread_route_is_a_failure(start: Start) -> None:
    bench = await start(engine_up=False)
    assert b" 502 " in await bench.ask(post("/cohere/v2/chat"))
    assert unread(bench)["/cohere/v2/chat", "route"].endings == {"error": 1}


async def test_a_tunnel_is_under_way_only_while_bytes_move(start: Start) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)

    bench = await start(echo)
    reader, writer = await bench.client()
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    await reader.readexactly(24)
    assert bench.relay.passing.unread == 1
    connection = next(iter(bench.relay.connections))
    connection.rest(10**18)
    connection.rest(10**18)
    assert bench.relay.passing.unread == 0
    assert unread(bench)[OTHER, "protocol"].statuses == {"none": 1}
    writer.write(b"again")
    await reader.readexactly(5)
    assert bench.relay.passing.unread == 1
    writer.close()
    await until(lambda: bench.relay.passing.answering == 0)


def test_bytes_of_the_engine_alone_make_a_burst_too() -> None:
    counts = RouteCounts()
    bursts = Bursts(counts, UnreadCause.PROTOCOL)
    bursts.rest(1_000, moved_ns=900)
    assert counts.unread == 1
    bursts.rest(900 + QUIET_NS)
    assert counts.unread == 1
    bursts.rest(901 + QUIET_NS)
    assert counts.unread == 0


def test_only_what_changed_is_told_and_all_of_it_to_a_new_reader() -> None:
    counts = RouteCounts()
    for path in ("/score", "/rerank"):
        counts.ended(counts.begin("POST", path, False, False, 0), 10**9, 200, Ending.UNOBSERVED)
    assert [report.route for report in counts.take()] == ["/rerank", "/score"]
    assert counts.take() == []
    counts.ended(counts.begin("POST", "/score", False, False, 0), 10**9, 200, Ending.UNOBSERVED)
    (report,) = counts.take()
    assert (report.route, report.requests, report.seconds) == ("/score", 2, 2.0), "the counts are cumulative"
    counts.restate()
    assert len(counts.take()) == 2
