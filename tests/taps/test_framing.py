"""Messages survive any cut; what is none of ours ends the connection and nothing else."""

from __future__ import annotations

import msgspec
import pytest

from watchtower.taps.framing import Deframer, frame
from watchtower.vocabulary.errors import ProtocolFault
from watchtower.vocabulary.facts import HoldOrder, RelayOrder, ReleaseOrder

ORDERS: list[RelayOrder] = [
    HoldOrder(op_id="op-1", seconds=60, wait_seconds=5, max_parked=256, max_bytes=1 << 26),
    ReleaseOrder(op_id="op-1"),
]


def deframer() -> Deframer[RelayOrder]:
    return Deframer(msgspec.msgpack.Decoder(RelayOrder))


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_messages_survive_any_cut(size: int) -> None:
    wire = b"".join(frame(order) for order in ORDERS)
    reader = deframer()

    assert [o for i in range(0, len(wire), size) for o in reader.feed(wire[i : i + size])] == ORDERS


@pytest.mark.parametrize("wire", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x01\xc1", b"\x00\x00\x00\x01\x80"])
def test_what_is_no_message_is_a_fault(wire: bytes) -> None:
    with pytest.raises(ProtocolFault):
        deframer().feed(wire)
