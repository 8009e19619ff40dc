"""Messages on the socket between relay workers and the daemon: four bytes of length (big endian), then msgpack.

The two ends may be of different versions, because workers outlive the daemon. A message that is well framed and has a
name, but cannot be decoded, is one that only the other version knows: it is skipped and reported by its name. Bytes
that are no message end the connection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

import msgspec

from watchtower.vocabulary.errors import ProtocolFault

MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
_LENGTH_BYTES: Final = 4

Message = TypeVar("Message")

_encode = msgspec.msgpack.Encoder().encode


class _Named(msgspec.Struct):
    """The name of any message, whatever else it holds."""

    fact: str = ""
    order: str = ""


_decode_name = msgspec.msgpack.Decoder(_Named).decode


def frame(message: msgspec.Struct) -> bytes:
    """``message`` as it goes over the socket."""
    body = _encode(message)
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


class Deframer(Generic[Message]):
    """``feed`` what was read; get the messages that it completed."""

    def __init__(
        self, decoder: msgspec.msgpack.Decoder[Message], skipped: Callable[[str], None] = lambda name: None
    ) -> None:
        """``skipped`` gets the name (at most 64 characters) of each message that this version does not know."""
        self._decode = decoder.decode
        self._skipped = skipped
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Raises ProtocolFault for what is not a message of ours; the connection is of no use after that."""
        self._buffer += data
        messages: list[Message] = []
        while len(self._buffer) >= _LENGTH_BYTES:
            length = int.from_bytes(self._buffer[:_LENGTH_BYTES], "big")
            if length > MAX_MESSAGE_BYTES:
                raise ProtocolFault(f"a message of {length} bytes")
            end = _LENGTH_BYTES + length
            if len(self._buffer) < end:
                break
            body = self._buffer[_LENGTH_BYTES:end]
            del self._buffer[:end]
            try:
                messages.append(self._decode(body))
            except msgspec.MsgspecError as exc:
                self._skipped(_name_of(body, exc))
        return messages


def _name_of(body: bytearray, problem: msgspec.MsgspecError) -> str:
    """Raises ProtocolFault for what has no name: it is no message of any version."""
    try:
        named = _decode_name(body)
    except msgspec.MsgspecError:
        named = _Named()
    if not (name := named.fact or named.order):
        raise ProtocolFault("a message that cannot be decoded") from problem
    return name[:64]
