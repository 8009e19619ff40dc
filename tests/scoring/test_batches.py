"""Who is computed next, who falls off, and what everybody is told at the end."""

from __future__ import annotations

import asyncio

import pytest

from watchtower.scoring.batches import BATCH_TEXTS, MOST_CANARIES, MOST_LIVE, Batch, Batches
from watchtower.vocabulary.embeddings import Embedding


@pytest.fixture
async def batches() -> Batches:
    return Batches()


def texts(count: int, name: str = "text") -> list[str]:
    return [f"{name} {number}" for number in range(count)]


def put(batches: Batches, wanted: list[str], *, live: bool = False) -> list[Batch]:
    found = batches.put(wanted, live=live)
    assert found is not None
    return found


def next_is_live(batches: Batches) -> bool | None:
    return batches.next_is_live


async def test_texts_go_in_batches_and_in_order(batches: Batches) -> None:
    put(batches, texts(BATCH_TEXTS + 1))
    assert next_is_live(batches) is False
    assert [len(batches.take().texts), len(batches.take().texts)] == [BATCH_TEXTS, 1]
    assert next_is_live(batches) is None
    with pytest.raises(IndexError):
        batches.take()


async def test_canaries_go_before_live_samples_that_came_earlier(batches: Batches) -> None:
    put(batches, ["live"], live=True)
    put(batches, ["canary"])
    assert next_is_live(batches) is False
    assert batches.take().texts == ["canary"]
    assert next_is_live(batches) is True
    assert batches.take().texts == ["live"]


async def test_too_many_live_samples_drop_the_oldest_counted_and_told(batches: Batches) -> None:
    (oldest,) = put(batches, texts(BATCH_TEXTS), live=True)
    newest = put(batches, texts(MOST_LIVE), live=True)
    assert (await oldest.answer).because == "the scorer had no time for a live sample"
    assert batches.live_dropped == BATCH_TEXTS
    assert not any(batch.answer.done() for batch in newest)


async def test_too_many_canaries_are_not_taken_at_all(batches: Batches) -> None:
    put(batches, texts(MOST_CANARIES))
    assert batches.put(["one more"], live=False) is None
    assert batches.live_dropped == 0


async def test_everybody_who_waits_learns_that_there_will_be_nothing(batches: Batches) -> None:
    waiting = put(batches, ["canary"]) + put(batches, ["live"], live=True)
    batches.refuse("down")
    assert [await batch.answer for batch in waiting] == [Embedding(None, "down")] * 2
    assert next_is_live(batches) is None


async def test_an_answer_stands(batches: Batches) -> None:
    (batch,) = put(batches, ["a"])
    batch.settle(Embedding([[1.0]]))
    batch.settle(Embedding(None, "too late"))
    assert (await batch.answer).vectors == [[1.0]]


@pytest.mark.parametrize("live", [True, False])
async def test_news_wakes_whoever_waits_for_a_batch(batches: Batches, live: bool) -> None:
    waiting = asyncio.get_running_loop().create_task(batches.news(None))
    await asyncio.sleep(0)
    assert not waiting.done()
    put(batches, ["a"], live=live)
    async with asyncio.timeout(5):
        await waiting


async def test_news_are_waited_for_no_longer_than_asked(batches: Batches) -> None:
    async with asyncio.timeout(5):
        await batches.news(0.01)


async def test_the_end_is_news(batches: Batches) -> None:
    waiting = asyncio.get_running_loop().create_task(batches.news(None))
    await asyncio.sleep(0)
    batches.refuse("closed")
    async with asyncio.timeout(5):
        await waiting
