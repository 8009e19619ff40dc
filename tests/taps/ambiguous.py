"""Requests that two parsers may read differently, made by chance from what is known to divide them.

Each carries requests to control paths where only another parser than ours would look for a request: in bodies, after
lengths that lie, behind upgrades, in chunk extensions and trailers.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

CONTROL = ("sleep", "collective_rpc", "pause", "flush_cache", "v1/load_lora_adapter")
"""Paths that the engine of the tests has, and that the guard refuses."""

_HIDDEN_TARGETS = (
    b"/%b",
    b"/%b",
    b"/%b?level=2",
    b"/%b#x",
    b"http://e/%b",
    b"//e/../%b",
    b"/%%2f%b",
    b"/%%2F..%%2f%b",
    b"/./%b",
    b"/x/..;/%b",
    b"\\%b",
    b"/%b%%0a",
    b"/%b%%00",
)
_HIDDEN_LINES = (
    b"POST %b HTTP/1.1\r\nHost: e\r\n\r\n",
    b"POST %b HTTP/1.1\r\nHost: e\r\nContent-Length: 0\r\n\r\n",
    b"GET %b HTTP/1.1\r\nHost: e\r\n\r\n",
    b"POST %b HTTP/1.0\r\n\r\n",
    b"POST %b\r\n\r\n",
    b"POST %b HTTP/2.0\r\n\r\n",
    b"POST   %b   HTTP/1.1\r\nHost: e\r\n\r\n",
    b"POST %b HTTP/1.1\nHost: e\n\n",
    b"post %b HTTP/1.1\r\nHost: e\r\n\r\n",
    b"POST\t%b HTTP/1.1\r\nHost: e\r\n\r\n",
    b"\r\nPOST %b HTTP/1.1\r\nHost: e\r\n\r\n",
    b"0\r\n\r\nPOST %b HTTP/1.1\r\nHost: e\r\n\r\n",
    b"POST %b HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
)
_METHODS = (b"POST",) * 12 + (b"GET", b"GET", b"HEAD", b"PUT", b"CONNECT", b"OPTIONS", b"post", b"SOURCE", b"PRI")
_TARGETS = (
    b"/v1/completions",
    b"/v1/models",
    b"/health",
    b"http://e/v1/models",
    b"*",
    b"e:80",
    b"/v1/../health",
    b"/x",
)
_VERSIONS = (b"HTTP/1.1",) * 24 + (b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.2", b"http/1.1", b"HTTP/0.9")
_CODINGS = (
    *(b"Transfer-Encoding: chunked",) * 16,
    b"Transfer-Encoding: Chunked",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunked;q=1",
    b"Transfer-Encoding:\x0bchunked",
    b"Transfer-Encoding : chunked",
    b"Transfer_Encoding: chunked",
    b"Transfer-Encoding:\r\n chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    b"X: y\nTransfer-Encoding: chunked",
    b"X: y\rTransfer-Encoding: chunked",
)
_SWITCHES = (
    b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
    b"Upgrade: websocket\r\nConnection: upgrade",
    b"Upgrade: x\r\nConnection: keep-alive, upgrade",
    b"Upgrade: x",
    b"Connection: upgrade",
    b"upgrade:\r\nconnection: UPGRADE",
    b"Upgrade: x\r\nUpgrade: y\r\nConnection: close\r\nConnection: upgrade",
)
_OTHERS = (
    b"Expect: 100-continue",
    b"Connection: close",
    b"Connection: keep-alive",
    b"X-Obs: \xe9\xff",
    b"X-Nul: \x00",
    b"X-Fold: a\r\n b",
    b"Bad Name: x",
    b": x",
    b"X: POST /sleep HTTP/1.1",
)
_ENDS = (b"\r\n\r\n",) * 30 + (b"\n\n", b"\r\n\n", b"\r\r\n\r\n")


def connections(seed: int) -> Iterator[list[list[bytes]]]:
    """Clients without end: the requests of each, and each as the segments in which it is sent."""
    chance = random.Random(seed)
    while True:
        yield [_segments(chance) for _ in range(chance.choice((1, 2, 4, 8)))]


def _segments(chance: random.Random) -> list[bytes]:
    head, body = _request(chance)
    if chance.random() < 0.1:
        head = b"\r\n" * chance.randint(1, 3) + head
    cut = chance.randrange(len(body) + 1)
    style = chance.random()
    if style < 0.6:
        return [head, body]  # what ends at its head ends with its segment
    if style < 0.8:
        return [head + body[:cut], body[cut:]]
    if style < 0.9:
        return [head + body]
    cut = chance.randrange(len(head))
    return [head[:cut], head[cut:] + body]


def _hidden(chance: random.Random) -> bytes:
    target = chance.choice(_HIDDEN_TARGETS) % chance.choice(CONTROL).encode()
    if chance.random() < 0.1:
        target = target.replace(b"e", b"%65")
    return chance.choice(_HIDDEN_LINES) % target


def _request(chance: random.Random) -> tuple[bytes, bytes]:
    hidden = _hidden(chance)
    fields = [b"Host: e"]
    kind = chance.random()
    if kind < 0.35:
        body = hidden
        fields.append(b"Content-Length: " + _length(chance, len(body)))
    elif kind < 0.7:
        body = _chunked(chance, hidden)
        fields.append(chance.choice(_CODINGS))
    elif kind < 0.75:
        body = chance.choice((_chunked(chance, hidden), b"0\r\n\r\n" + hidden, hidden))
        both = [b"Content-Length: " + _length(chance, len(body)), chance.choice(_CODINGS)]
        chance.shuffle(both)
        fields += both
    else:
        body = hidden if chance.random() < 0.2 else b""
    if chance.random() < 0.4:
        fields.append(chance.choice(_SWITCHES))
    if chance.random() < 0.15:
        fields.append(chance.choice(_OTHERS))
    chance.shuffle(fields)
    line = b"%b %b %b" % (chance.choice(_METHODS), chance.choice(_TARGETS), chance.choice(_VERSIONS))
    return b"\r\n".join([line, *fields]) + chance.choice(_ENDS), body


def _length(chance: random.Random, size: int) -> bytes:
    texts = [b"%d" % size] * 20 + [
        b"0",
        b"%d" % (size // 2),
        b"%d" % (size + 40),
        b"+%d" % size,
        b"%d, %d" % (size, size),
    ]
    texts += [
        b"0%d" % size,
        b"0x%x" % size,
        b"%d\t " % size,
        b"-1",
        b"%d\r\nContent-Length: 0" % size,
        b"%d\xa0" % size,
    ]
    return chance.choice(texts)


def _chunked(chance: random.Random, hidden: bytes) -> bytes:
    def chunk(data: bytes) -> bytes:
        size = chance.choice((b"%x", b"%X", b"0%x", b"%x", b"%x")) % len(data)
        extension = chance.choice(
            (b"",) * 16 + (b";a=b", b";", b' ;a="x"', b" ", b"\t", b";" + hidden[:30].strip(), b"\n")
        )
        end = chance.choice((b"\r\n",) * 40 + (b"\n", b"", b"\r"))
        return size + extension + b"\r\n" + data + end

    last = chance.choice((b"0\r\n", b"0\r\n", b"00\r\n", b"0;x\r\n", b"0 \r\n"))
    trailer = chance.choice(
        (
            b"",
            b"",
            b"X: y\r\n",
            b"Upgrade: x\r\nConnection: upgrade\r\n",
            b"Content-Length: 9\r\n",
            b"Bad\r\n",
            b" x\r\n",
        )
    )
    parts = [chunk(hidden)] if chance.random() < 0.6 else [chunk(hidden[:7]), chunk(hidden[7:])]
    after = hidden if chance.random() < 0.3 else b""
    return b"".join(parts) + last + trailer + b"\r\n" + after
