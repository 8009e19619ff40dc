"""A few seconds of it, always the same; ``make fuzz`` is the long run. How long turns take is judged there alone."""

from __future__ import annotations

import random
from pathlib import Path

from tests.fuzz.dialects import fuzz_dialects
from tests.fuzz.inputs import Answer, answers, cut_anew
from tests.fuzz.through_relay import Case, Fuzz


def test_no_dialect_raises_for_what_an_engine_might_send() -> None:
    count, raised = fuzz_dialects(random.Random(1), seconds=60, most=400)

    assert (count, raised) == (400, [])


async def test_whatever_passes_arrives_as_it_was_sent_and_nothing_stays_behind(tmp_path: Path) -> None:
    fuzz = Fuzz(1, tmp_path)

    relay = await fuzz.run(seconds=60, most=120, idle=50)

    assert fuzz.wrong == []
    assert relay.turns.count > 1000


def test_a_recording_in_other_chunks_is_the_same_body() -> None:
    rng = random.Random(1)
    kept = next(answer for answer in answers() if answer.name == "chat-stream-usage")

    again = cut_anew(rng, cut_anew(rng, kept))

    assert again.wire != kept.wire
    assert again.wire.count(b"completion_tokens") <= kept.wire.count(b"completion_tokens")


def test_a_changed_byte_would_be_seen() -> None:
    answer = Answer("x", "/", b"abc")
    case = Case(answer, b"asked", True, [1], got=bytearray(b"abX"), sent=bytearray(b"abc"), arrived=bytearray(b"asked"))
    assert Fuzz._compare(case)
    case.got[2:] = b"c"
    assert not Fuzz._compare(case)
    case.arrived[0] = 0
    assert Fuzz._compare(case)
