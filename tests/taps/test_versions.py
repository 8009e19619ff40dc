"""Workers and daemons of different versions understand each other.

``recordings/<commit>/`` holds what the release of that commit sent, as bytes and as JSON: its worker to its daemon, its
daemon to its worker, a plan, and what travelled beside the listening socket.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from watchtower.taps.framing import Deframer
from watchtower.taps.handover import Handed
from watchtower.taps.relay_plan import PROTOCOL, RelayPlan
from watchtower.vocabulary.facts import (
    Closed,
    Ending,
    ExchangeNews,
    HoldState,
    Opened,
    RelayFrame,
    RelayHello,
    RelayMessage,
    WorkerOrder,
)

RELEASES = sorted(Path(__file__).with_name("recordings").iterdir())

RENAMED = {"error_event": "error", "http_error": "error"}
"""What was said then, as it is called today."""

each_release = pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)


def contains(now: Any, then: Any) -> bool:
    """All that was said then is still understood; more may have been added."""
    if isinstance(then, dict):
        return isinstance(now, dict) and all(key in now and contains(now[key], value) for key, value in then.items())
    if isinstance(then, list) and isinstance(now, list):
        return len(now) >= len(then) and all(map(contains, now, then))
    return bool(now == RENAMED.get(then, then))


@each_release
@pytest.mark.parametrize(("direction", "messages"), [("from-worker", RelayMessage), ("to-worker", WorkerOrder)])
def test_what_a_release_sent_is_read_as_it_was_meant(release: Path, direction: str, messages: Any) -> None:
    def skipped(name: str) -> None:
        raise AssertionError(f"{name} is not understood any more")

    reader: Deframer[Any] = Deframer(msgspec.msgpack.Decoder(messages), skipped)
    read = reader.feed((release / f"{direction}.frames").read_bytes())
    meant = [json.loads(line) for line in (release / f"{direction}.jsonl").read_text().splitlines()]

    assert {type(message) for message in read} <= set(get_args(messages))
    assert len(read) == len(meant)
    for message, said in zip(read, meant, strict=True):
        assert contains(json.loads(msgspec.json.encode(message)), said)


@each_release
def test_a_worker_of_a_release_with_the_same_knobs_is_kept_and_one_of_another_protocol_is_not(release: Path) -> None:
    handed = msgspec.json.decode((release / "handed.json").read_bytes(), type=Handed)
    plan = msgspec.json.decode((release / "plan.json").read_bytes(), type=RelayPlan)
    mine = msgspec.structs.replace(plan, protocol=PROTOCOL)

    assert mine.digest() == handed.digest
    assert msgspec.structs.replace(mine, protocol=PROTOCOL + 1).digest() != handed.digest
    assert msgspec.structs.replace(mine, guard=False).digest() != handed.digest


def test_a_worker_of_the_first_release_is_sent_no_order_that_it_would_hang_up_at() -> None:
    hello = RelayHello(at=1, worker=0, pid=2, version="0", listening="", upstream="", samples=True)

    assert [order for order in ("hold", "release", "sample", "reroute") if hello.obeys(order)] == [
        "hold",
        "release",
        "sample",
    ]
    newer = msgspec.structs.replace(hello, understands=("hold", "release", "reroute"))
    assert newer.obeys("reroute") and not newer.obeys("sample")


def read_as(kind: Any, value: Any) -> Any:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(value), type=kind)


def test_an_ending_that_only_a_newer_worker_knows_reads_unobserved() -> None:
    assert read_as(Closed, [2.5, "exploded", 200]) == Closed(2.5, Ending.UNOBSERVED, 200)


@pytest.mark.parametrize(
    ("said", "status", "meant"),
    [
        ("error_event", 200, Ending.ERROR),
        ("http_error", 500, Ending.ERROR),
        ("http_error", 404, Ending.REFUSED),
        ("http_error", 429, Ending.SHED),
        ("truncated", 404, Ending.TRUNCATED),
    ],
)
def test_the_endings_of_the_first_release_are_told_apart_by_their_status(said: str, status: int, meant: Ending) -> None:
    assert read_as(Closed, [2.5, said, status]).as_said_today().ending is meant


def test_a_state_of_the_hold_that_only_a_newer_worker_knows_reads_unknown() -> None:
    said = {"fact": "relay_frame", "at": 1.0, "worker": 0, "pid": 1, "sequence": 1, "open_exchanges": 0, "hold": "soft"}

    assert read_as(RelayFrame, said).hold is HoldState.UNKNOWN


@pytest.mark.parametrize(
    ("kind", "first"),
    [
        (Opened, ["at", "path", "model", "stream", "tag", "request_bytes", "traceparent", "whole_at"]),
        (
            Closed,
            [
                "at",
                "ending",
                "status",
                "completion_tokens",
                "prompt_tokens",
                "finish_reason",
                "deltas",
                "unknown_finish",
            ],
        ),
    ],
)
def test_arrays_grow_only_at_the_end_and_longer_ones_are_read(kind: Any, first: list[str]) -> None:
    assert list(kind.__struct_fields__[: len(first)]) == first
    opened = [1.0, "/v1/completions", "m", True, "", 0, "", 0.0, "more", 7]
    closed = [2.0, "complete", 200, 3, 4, "stop", 0, False, "more", 7]
    news = read_as(ExchangeNews, {"id": "0.1-1", "opened": opened, "closed": closed, "mood": "good"})

    assert news.opened == Opened(1.0, "/v1/completions", "m", True)
    assert news.closed == Closed(2.0, Ending.COMPLETE, 200, 3, 4, "stop")
