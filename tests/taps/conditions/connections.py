"""Holds, tunnels, and connections that end at odd times."""

from __future__ import annotations

from tests.taps.conditions.script import (
    ASKED,
    DONE,
    END,
    FIVE,
    Condition,
    Do,
    Right,
    chunk,
    condition,
    event,
    part,
    request,
    stream,
    words,
)
from watchtower.vocabulary.facts import Ending

HELD = (
    Condition(
        name="chat-under-a-hold",
        reported="control: what a hold does to a request that everybody knows",
        right=(),
        engine=(FIVE,),
        client=(Do.HOLD, request("chat-under-a-hold"), Do.AWAIT_END),
        counted=("parked",),
        alone=True,
        client_got=b"HTTP/1.1 503 ",
        mirrored=False,
        at_the_engine=0,
    ),
    condition(
        "aborted-under-a-hold",
        "a pause or a rollback of ours has the engine give up what it answers",
        Right(ending=Ending.OURS, finish="abort"),
        stream(words(5, 0.02), 0.5, event(part(finish="abort")), DONE, END),
        (request("aborted-under-a-hold"), 0.2, Do.HOLD, Do.AWAIT_ANSWER),
        alone=True,
    ),
)


CONNECTIONS = (
    Condition(
        name="websocket",
        reported="vllm-project/vllm#33187, maximhq/bifrost#2144",
        right=(),
        engine=(
            (
                Do.AWAIT_HEAD,
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
                *(Do.AWAIT_QUIET, b"\x81\x02ok", 0.2, Do.CLOSE),
            ),
        ),
        client=(
            b"GET /v1/realtime?model=m HTTP/1.1\r\nHost: e\r\nx-case: websocket\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n",
            0.3,
            b"\x81\x85\x01\x02\x03\x04abcde",
            Do.AWAIT_END,
        ),
        counted=("relay_tunnels",),
    ),
    Condition(
        name="70k-header",
        reported="header limits; nginx large_client_header_buffers class",
        right=(),
        engine=(FIVE,),
        client=(request("70k-header", more="X-Big: " + "a" * 70_000 + "\r\n"), Do.AWAIT_ANSWER),
        counted=("requests_malformed",),
    ),
    Condition(
        name="engine-keeps-alive-for-1s",
        reported="cpp-httplib/gunicorn keep-alive of 1-2 s; kserve/kserve#5446",
        right=(Right(ending=Ending.COMPLETE, tokens=5), Right(ending=Ending.COMPLETE, tokens=5)),
        engine=((*FIVE, 0.5, Do.CLOSE), FIVE),
        client=(*((request("engine-keeps-alive-for-1s"), Do.AWAIT_ANSWER, 0.3) * 2),),
    ),
    condition(
        "gzip-stream",
        "open-telemetry/opentelemetry-ebpf-instrumentation#1353, ProxymanApp/Proxyman#2518",
        Right(ending=Ending.UNOBSERVED),
        (
            *ASKED,
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n"
            b"transfer-encoding: chunked\r\n\r\n",
            *(chunk(b"\x1f\x8b\x08"), 0.3, chunk(b"D\xd6\x0bk"), END),
        ),
        counted=("responses_unobserved",),
    ),
    condition(
        "path-prefix",
        "ray-project/ray#59407",
        Right(ending=Ending.COMPLETE, tokens=5),
        FIVE,
        (request("path-prefix", "/llm/v1/chat/completions"), Do.AWAIT_ANSWER),
    ),
)
