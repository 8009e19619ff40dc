"""Whole chunks of HTTP's chunked coding (RFC 9112 §7.1), told from anything else at a glance.

Only the plain form counts, as servers write it: a size in lower-case hex without leading zeros or extensions. All the
rest, the last chunk included, is somebody else's work: the answer here is then "no".
"""

from __future__ import annotations

from typing import Final

MAX_CHUNK_BYTES: Final = 4096
"""A longer chunk is never called whole: an event that carries a token is a few hundred bytes."""

_SIZES: Final = {b"%x" % size: size for size in range(1, MAX_CHUNK_BYTES + 1)}


def sole_chunk(data: bytes) -> int:
    """Where the content begins, if ``data``, read at the start of a chunk, is exactly one, as nearly always; else 0.

    >>> sole_chunk(b"5\\r\\nhello\\r\\n")
    3
    """
    line = data.find(b"\r\n", 0, 6)
    return line + 2 if _SIZES.get(data[:line]) == len(data) - line - 4 and data[-2:] == b"\r\n" else 0


def whole_chunks(data: bytes) -> list[bytes]:
    """The contents of the chunks that ``data``, read at the start of a chunk, consists of; [] if there is more to it.

    >>> whole_chunks(b"5\\r\\nhello\\r\\n")
    [b'hello']
    >>> whole_chunks(b"5\\r\\nhel")
    []
    """
    chunks: list[bytes] = []
    at, end = 0, len(data)
    while at < end:
        line = data.find(b"\r\n", at, at + 6)
        size = _SIZES.get(data[at:line]) if line > at else None
        if size is None:
            return []
        begin = line + 2
        at = begin + size + 2
        if data[at - 2 : at] != b"\r\n":
            return []
        chunks.append(data[begin : at - 2])
    return chunks
