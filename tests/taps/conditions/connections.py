"""Holds, tunnels, and connections that end at odd times."""

from __future__ import annotations

from tests.taps.conditions.script import (
    ASKED,
    DONE,
    END,
    FIVE,
    STOP,
    Comes,
    Condition,
    Do,
    Right,
    Script,
    chunk,
    condition,
    event,
    head,
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


BOTH_LENGTHS: Script = (
    *ASKED,
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 999\r\ntransfer-encoding: chunked\r\n\r\n",
    *(*words(5, 0.02), STOP, DONE, END),
)
WITH_A_URL = {"model": "m", "stream": True, "prompt": "my CV: https://me.example/resume.pdf"}
TOO_LARGE = (
    b"HTTP/1.1 413 Content Too Large\r\ncontent-type: application/json\r\ncontent-length: 21\r\n"
    b'connection: close\r\n\r\n{"error":"too large"}'
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
    Condition(
        name="length-and-chunked",
        reported="timoklimmer/powerproxy-aoai#53, chimurai/http-proxy-middleware#447",
        right=(Right(ending=Ending.UNOBSERVED), Right(ending=Ending.UNOBSERVED)),
        engine=((*BOTH_LENGTHS, *BOTH_LENGTHS),),
        client=(
            *(request("length-and-chunked"), Comes(END)),
            *(request("length-and-chunked", body=WITH_A_URL), Do.AWAIT_ANSWER),
        ),
        counted=("responses_malformed", "responses_malformed"),
    ),
    Condition(
        name="413-before-the-body-ended",
        reported="villadora/express-http-proxy#546, MAXeaglet/commandcode-proxy#7",
        right=(Right(ending=Ending.REFUSED, status=413),),
        engine=((Do.AWAIT_HEAD, TOO_LARGE, Do.HALF_CLOSE, 2.0, Do.CLOSE),),
        client=(
            head("413-before-the-body-ended", length=30_000_000),
            *((b"x" * 100_000,) * 300),
            Comes(TOO_LARGE),
        ),
        client_got=TOO_LARGE,
        mirrored=False,
    ),
    Condition(
        name="keepalive-race",
        reported="llm-d/llm-d#1564, rllm-org/rllm#592",
        right=(Right(ending=Ending.COMPLETE, tokens=5), Right(ending=Ending.OURS)),
        engine=((*FIVE, Do.AWAIT_HEAD, Do.RESET), FIVE),
        client=(
            *(request("keepalive-race"), Comes(END)),
            *(request("keepalive-race"), Do.AWAIT_END),
        ),
        client_got=b"HTTP/1.1 502 ",
        mirrored=False,
    ),
)
