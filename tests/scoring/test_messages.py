"""Frames between the daemon and the scorer child."""

from __future__ import annotations

import asyncio
import io

import msgspec
import pytest

from watchtower.scoring.messages import MOST_BYTES, Done, Work, frame, read, read_blocking


def stream(data: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return reader


async def test_frames_come_back_one_after_the_other_from_either_end() -> None:
    messages = [Work(1, ["a", "ü"]), Done(id=1, vectors=b"\0" * 70_000)]
    data = b"".join(map(frame, messages))
    reader, file = stream(data), io.BytesIO(data)
    for message in messages:
        body = await read(reader)
        assert body == read_blocking(file)
        assert msgspec.msgpack.decode(body, type=type(message)) == message
    assert read_blocking(file) == b""


@pytest.mark.parametrize("cut", [0, 3, 5], ids=["nothing", "half a length", "half a body"])
async def test_a_stream_that_ends_too_early_is_an_end(cut: int) -> None:
    with pytest.raises(EOFError):
        await read(stream(frame(Work(1, ["a"]))[:cut]))


async def test_a_frame_beyond_the_limit_is_garbage_and_not_waited_for() -> None:
    with pytest.raises(ValueError, match="beyond the limit"):
        await read(stream((MOST_BYTES + 1).to_bytes(4, "big")))
