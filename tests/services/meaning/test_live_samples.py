"""Samples become numbers and are forgotten; then and now are compared only when both are there."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.services.meaning.scene import Scene, an_incident
from tests.services.meaning.test_answer_judge import House as Judges
from tests.services.meaning.test_answer_judge import Letters
from tests.services.meaning.test_reference_service import until
from watchtower.services.meaning.answer_judge import AnswerJudge
from watchtower.services.meaning.live_samples import OFF, Samples
from watchtower.settings import SampleSettings
from watchtower.storage.baseline_file import BaselineFile
from watchtower.tasks import TaskGroup
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.facts import LiveAnswered
from watchtower.vocabulary.references import ReferenceSet
from watchtower.vocabulary.samples import ExchangeSampled, SampleOrder, prompt_hash

TOPICS = ("tides and the sea", "bread in the oven", "the price of loans")
SECRET = "planted-91c4de"


def sample(number: int, answer: str = "", **more: Any) -> ExchangeSampled:
    topic = TOPICS[number % 3]
    said = answer or f"About {topic}: {hashlib.sha256(str(number).encode()).hexdigest()}"
    fields: dict[str, Any] = {
        "at": 1.0,
        "id": f"0.1-{number}",
        "model": "m",
        "prompt": f"hash{number:04}",
        "finish_reason": "stop",
    }
    return ExchangeSampled(**{**fields, "question": f"Explain {topic}", "answer": said, "chosen": True, **more})


class House:
    def __init__(self, file: Path | None = None, **knobs: object) -> None:
        self.clock = HandClock()
        self.encoder = Letters()
        self.scene = Scene()
        self.orders: list[SampleOrder] = []
        self.facts: list[LiveAnswered] = []
        self.tasks = TaskGroup(self.clock.sleep)
        self.keys = iter(bytes([number]) * 16 for number in range(1, 100))
        self.samples = Samples(
            SampleSettings(**{"then": 60, "now": 60, "minimum": 30, "every_seconds": 1, **knobs}),
            clock=self.clock,
            encoder=self.encoder,
            judge=AnswerJudge(self.encoder, self.clock, 8),
            circumstances=self.scene.circumstances,
            order=self.orders.append,
            on_fact=self.facts.append,
            file=BaselineFile(file) if file else None,
            fresh_key=lambda: next(self.keys),
            plain=False,
        )

    async def take(self, *samples: ExchangeSampled) -> None:
        counts = self.samples.counts
        done = sum(counts.values()) + len(samples)
        for sample in samples:
            self.samples.take(sample)
        await until(lambda: sum(counts.values()) >= done)

    async def shifted(self) -> dict[str, Any]:
        async with asyncio.timeout(30):
            while self.samples.diagnosis["shift"] is None:
                self.clock.advance(1)
                await asyncio.sleep(0.01)
        found: dict[str, Any] = self.samples.diagnosis["shift"]
        return found


@pytest.fixture
async def references() -> ReferenceSet:
    return await Judges().blessed()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path / "samples.baseline")
    house.tasks.start("samples", house.samples.run)
    yield house
    await house.tasks.stop()


async def test_nothing_is_ordered_before_there_are_references(house: House, references: ReferenceSet) -> None:
    house.samples.adopt(None)
    house.samples.take(sample(1))
    house.samples.adopt(references)
    house.samples.adopt(None)

    assert [order.takes_any for order in house.orders] == [False, True, False]
    assert "watchtower references capture" in house.samples.diagnosis["because"]
    assert house.samples.counted()["waiting_bytes"] == 0


async def test_an_order_names_the_references_questions_by_keyed_hash(house: House, references: ReferenceSet) -> None:
    house.samples.adopt(references)
    (order,) = house.orders
    first = references.references[0].prompt

    assert order.questions[prompt_hash(first.text.encode(), order.key)] == first.id
    assert len(order.questions) == len(references.references)
    assert order.longest_question >= len(first.text)


async def test_a_users_answer_to_a_references_question_is_compared(house: House, references: ReferenceSet) -> None:
    house.samples.adopt(references)
    reference = references.references[0]
    blessed = reference.answers[0].text
    asked: dict[str, Any] = {"question": reference.prompt.text, "reference": reference.prompt.id, "chosen": False}
    await house.take(
        sample(1, blessed + " and more", **asked), sample(2, "Something else entirely, at length", **asked)
    )
    same, other = house.facts

    assert (same.reference, same.prefix_agreement) == (reference.prompt.id, 1.0)
    assert same.similarity == pytest.approx(1, abs=0.02)
    assert other.prefix_agreement < 0.2
    assert other.at == 1.0


async def test_answers_that_moved_are_seen_against_those_of_then(house: House, references: ReferenceSet) -> None:
    house.samples.adopt(references)
    await house.take(*map(sample, range(60)))
    await house.take(*(sample(n, f"ZZZZ zzzz {n} ZZZ") for n in range(100, 140)))
    found = await house.shifted()

    assert found["p"] <= 0.01
    assert found["groups"][0]["prompts"][0].startswith("hash01")


async def test_the_same_model_is_not_seen_to_move(house: House, references: ReferenceSet) -> None:
    house.samples.adopt(references)
    await house.take(*map(sample, range(110)))
    found = await house.shifted()

    assert found["p"] > 0.02
    assert found["matched"] > 0.9


async def test_what_happens_while_something_is_wrong_is_not_learned(house: House, references: ReferenceSet) -> None:
    house.samples.adopt(references)
    house.scene.incident = an_incident("inc-1")
    await house.take(*map(sample, range(20)))
    house.scene.incident = None
    await house.take(*map(sample, range(20, 25)))

    assert len(house.samples._then.samples) == 5


async def test_then_survives_a_restart_without_a_word_of_text(
    house: House, references: ReferenceSet, tmp_path: Path
) -> None:
    house.samples.adopt(references)
    await house.take(*(sample(n, f"{SECRET} {n}") for n in range(60)))
    house.samples.save()
    stored = (tmp_path / "samples.baseline").read_bytes()
    again = House(tmp_path / "samples.baseline")
    again.samples.adopt(references)

    assert SECRET.encode() not in stored
    assert b"tides" not in stored
    assert len(again.samples._then.samples) == 60
    assert again.orders[-1].key == house.orders[-1].key


async def test_other_references_begin_another_then(house: House, references: ReferenceSet) -> None:
    import msgspec

    house.samples.adopt(references)
    await house.take(*map(sample, range(10)))
    house.samples.adopt(msgspec.structs.replace(references, id="ref-2"))

    assert house.samples._then.samples == []
    assert house.orders[0].key != house.orders[1].key


async def test_wording_is_compared_without_an_encoder_and_never_written_down(
    house: House, references: ReferenceSet, tmp_path: Path
) -> None:
    import msgspec

    house.samples.adopt(msgspec.structs.replace(references, encoder=""))
    await house.take(*map(sample, range(60)))
    await house.take(*(sample(n, f"A wholly different opening {n}") for n in range(100, 140)))
    house.samples.save()

    assert (await house.shifted())["p"] <= 0.01
    assert not (tmp_path / "samples.baseline").exists()


async def test_text_that_waits_is_bounded_and_the_oldest_falls_off(references: ReferenceSet) -> None:
    house = House(memory_bytes=64 * 1024)  # nobody reads
    house.samples.adopt(references)
    for number in range(100):
        house.samples.take(sample(number, "x" * 1000))

    assert house.samples.counted()["waiting_bytes"] <= 64 * 1024
    assert house.samples.counts["dropped"] > 50


async def test_an_encoder_that_is_away_costs_samples_and_nothing_else(house: House, references: ReferenceSet) -> None:
    house.samples.adopt(references)
    house.encoder.name = ""
    await house.take(sample(1))
    house.encoder.name = "letters"
    await house.take(sample(2))

    assert (house.samples.counts["unscored"], house.samples.counts["kept"]) == (1, 1)


async def test_a_failure_tells_its_kind_and_no_text(
    house: House, references: ReferenceSet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fail(*texts: object, live: bool = False) -> None:
        raise ValueError(f"cannot read {texts}")

    house.samples.adopt(references)
    monkeypatch.setattr(house.encoder, "embed", fail)
    await house.take(sample(1, SECRET))
    await asyncio.sleep(0)
    told = "".join(capsys.readouterr())

    assert house.samples.counts["unscored"] == 1
    assert "ValueError" in told
    assert SECRET not in told


async def test_a_tool_call_has_no_text_to_compare(house: House, references: ReferenceSet) -> None:
    house.samples.adopt(references)
    call: dict[str, Any] = {
        "at": 1.0,
        "id": "1",
        "model": "m",
        "prompt": "h",
        "question": "q",
        "answer": "",
        "chosen": True,
    }
    house.samples.take(ExchangeSampled(**call, finish_reason="tool_calls"))

    assert house.samples.counted()["waiting_bytes"] == 0


def test_a_share_of_zero_is_told(references: ReferenceSet) -> None:
    house = House(ratio=0.0)
    house.samples.adopt(references)

    assert house.samples.diagnosis["because"] == OFF
