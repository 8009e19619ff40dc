"""Messages on the socket between relay workers and the daemon: four bytes of length (big endian), then msgpack."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

import msgspec

from watchtower.vocabulary.errors import ProtocolFault

MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
_LENGTH_BYTES: Final = 4

Message = TypeVar("Message")

_encode = msgspec.msgpack.Encoder().encode


def frame(message: msgspec.Struct) -> bytes:
    """``message`` as it goes over the socket."""
    body = _encode(message)
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


class Deframer(Generic[Message]):
    """``feed`` what was read; get the messages that it completed."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[Message]) -> None:
        self._decode = decoder.decode
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
            try:
                messages.append(self._decode(self._buffer[_LENGTH_BYTES:end]))
            except msgspec.MsgspecError as exc:
                raise ProtocolFault("a message that cannot be decoded") from exc
            del self._buffer[:end]
        return messages
