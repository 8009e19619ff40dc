"""Calls that wait for an answer: each gets its own, or learns why there is none."""

from __future__ import annotations

import msgspec
import pytest

from watchtower.adapters.calls import Result
from watchtower.adapters.owed import Owed
from watchtower.vocabulary.errors import ProtocolFault


@pytest.fixture
async def owed() -> Owed:
    return Owed()


def result(id: int, value: bytes = b"true", trouble: str = "") -> Result:
    return Result(id=id, value=msgspec.Raw(value), trouble=trouble)


async def test_each_call_gets_the_answer_of_its_number_in_whatever_order(owed: Owed) -> None:
    first, second = owed.by(1), owed.by(2)
    owed.settle(result(2, b'"second"'))
    owed.settle(result(1, b'"first"'))
    assert (bytes(await first), bytes(await second)) == (b'"first"', b'"second"')


async def test_a_call_that_raised_in_the_child_fails_by_its_kind(owed: Owed) -> None:
    answer = owed.by(1)
    owed.settle(result(1, trouble="ValueError" + "x" * 1000))
    with pytest.raises(ProtocolFault, match="the adapter failed: ValueError") as raised:
        await answer
    assert len(str(raised.value)) == 300


async def test_an_answer_that_nobody_waits_for_any_more_does_no_harm(owed: Owed) -> None:
    left, cancelled = owed.by(1), owed.by(2)
    owed.forget(1)
    cancelled.cancel()
    for id in (1, 2, 3):
        owed.settle(result(id))
    assert not left.done()


async def test_when_the_child_is_gone_everybody_who_waits_learns_why_and_later_calls_begin_anew(owed: Owed) -> None:
    waiting = [owed.by(1), owed.by(2)]
    owed.fail("the adapter child ended")
    for answer in waiting:
        with pytest.raises(ProtocolFault, match="the adapter child ended"):
            await answer
    later = owed.by(3)
    owed.settle(result(3))
    assert bytes(await later) == b"true"
