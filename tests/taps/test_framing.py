"""Messages survive any cut; what is none of ours ends the connection and nothing else."""

from __future__ import annotations

from typing import Any

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


@pytest.mark.parametrize(
    "message",
    [
        {"order": "reroute", "op_id": "op-1"},
        {"order": "hold", "op_id": 1},
        {"fact": "relay_weather", "at": 1.0},
        {"fact": "relay_" + "x" * 100},
    ],
    ids=lambda message: next(iter(message.values()))[:12],
)
def test_a_message_of_another_version_is_skipped_by_its_name_and_the_next_one_is_read(message: dict[str, Any]) -> None:
    body = msgspec.msgpack.encode(message)
    skipped: list[str] = []
    reader = Deframer(msgspec.msgpack.Decoder(RelayOrder), skipped.append)

    assert reader.feed(frame(ORDERS[0]) + len(body).to_bytes(4, "big") + body + frame(ORDERS[1])) == ORDERS
    assert skipped == [next(iter(message.values()))[:64]]


@pytest.mark.parametrize("wire", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x01\xc1", b"\x00\x00\x00\x01\x80"])
def test_what_is_no_message_is_a_fault(wire: bytes) -> None:
    with pytest.raises(ProtocolFault):
        deframer().feed(wire)
