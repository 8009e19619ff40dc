"""Conditions that people reported, through a real relay worker: every byte as it was sent, and the right thing said."""

from __future__ import annotations

import asyncio

import pytest

from tests.taps.conditions.player import Played, Stage, Told
from tests.taps.conditions.reported import CONDITIONS
from tests.taps.conditions.script import Condition, Right

COUNTED = ("clients_left", "unknown_finish", "relay_tunnels", "requests_malformed", "responses_malformed", "parked")
"""Counters that go up in some conditions and must not in all others."""

each_condition = pytest.mark.parametrize("condition", CONDITIONS, ids=lambda condition: condition.name)


TOGETHER = [condition for condition in CONDITIONS if not condition.alone]


@pytest.fixture(scope="module")
def played() -> dict[str, Played]:
    """What became of all of them. Those that share a worker are played at once, and so are the workers."""
    stages = [Stage(TOGETHER), *(Stage([condition]) for condition in CONDITIONS if condition.alone)]

    async def play() -> dict[str, Played]:
        return {
            name: what
            for part in await asyncio.gather(*(stage.play() for stage in stages))
            for name, what in part.items()
        }

    return asyncio.run(play())


def test_names_are_unique_and_every_report_is_named() -> None:
    assert len({condition.name for condition in CONDITIONS}) == len(CONDITIONS)
    assert all(condition.reported for condition in CONDITIONS)


@each_condition
def test_every_byte_arrives_as_it_was_sent(played: dict[str, Played], condition: Condition) -> None:
    what = played[condition.name]
    assert condition.client_got in what.client.got
    if condition.at_the_engine is not None:
        assert len(what.engine) == condition.at_the_engine
    if condition.mirrored:
        assert bytes(what.client.got) == b"".join(side.sent for side in what.engine)
        assert bytes(what.client.sent) == b"".join(side.got for side in what.engine)


@each_condition
def test_what_is_recorded_is_right(played: dict[str, Played], condition: Condition) -> None:
    what = played[condition.name]
    assert len(what.told) == len(condition.right)
    for told, right in zip(what.told, condition.right, strict=True):
        _compare(told, right, what.stretch)


@pytest.mark.parametrize(
    "some", [TOGETHER, *([condition] for condition in CONDITIONS if condition.alone)], ids=lambda some: some[0].name
)
def test_what_is_counted_is_what_happened(played: dict[str, Played], some: list[Condition]) -> None:
    counters = played[some[0].name].counters

    assert {name: counters[name] for name in COUNTED} == {
        name: sum(condition.counted.count(name) for condition in some) for name in COUNTED
    }


def _compare(told: Told, right: Right, stretch: float) -> None:
    assert told.closed is not None
    assert told.closed.ending is right.ending
    exact = {
        "tokens": (told.counted, right.tokens),
        "total": (told.closed.completion_tokens, right.total),
        "prompt": (told.closed.prompt_tokens, right.prompt),
        "finish": (told.closed.finish_reason, right.finish),
        "status": (told.closed.status, right.status),
        "model": (told.opened.model, right.model),
    }
    for name, (found, wanted) in exact.items():
        assert wanted is None or found == wanted, name
    assert told.closed.unknown_finish is right.unknown_finish
    # A busy machine sleeps longer than it is told to, and never shorter: ``stretch`` is by how much.
    if right.pace is not None:
        assert 0.8 * right.pace < told.pace < 1.5 * stretch * right.pace
    if right.longest is not None:
        assert max(told.gaps) < right.longest * stretch
    if right.upload is not None:
        assert told.first_token_at is not None
        assert told.opened.at + 0.5 * right.upload <= told.opened.asked_at < told.first_token_at
