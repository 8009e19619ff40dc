"""Load explains a latency only where the same load was seen to cost as much while all was well."""

from __future__ import annotations

import math
import random

import msgspec
import pytest

from watchtower.detectors import LoadExplainsLatency, LoadNow, LoadSettings
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.readings import Truth
from watchtower.vocabulary.reasons import ReasonKind

KNOBS = LoadSettings(minimum_blocks=10, quarantine_seconds=0.0)


def at(boot: float, boot_id: str = "b") -> Instant:
    return Instant(boot, 1_767_225_600.0 + boot, boot_id)


def seen(load: float | None, p95: float | None, prompts: float | None = None) -> LoadNow:
    return LoadNow(open_exchanges=load, p95_seconds=p95, prompt_bytes_per_second=prompts)


def healthy(*loads: float, knobs: LoadSettings = KNOBS, blocks: int = 40) -> LoadExplainsLatency:
    """Learned at each of ``loads``: latency grows as the square root of load, 40 ms at one, ±5 %."""
    detector, rng, now = LoadExplainsLatency("model", knobs), random.Random(3), 0.0
    for load in loads:
        for _ in range(blocks):
            detector.learn(at(now), seen(load, 0.040 * math.sqrt(load) * rng.uniform(0.95, 1.05)))
            now += 10
    detector.learn(at(now), seen(0, 0))
    return detector


def test_a_burst_in_the_window_is_slow_at_a_common_load_but_gives_as_many_tokens() -> None:
    detector = LoadExplainsLatency(settings=KNOBS)
    for block in range(40):
        detector.learn(at(10 * block), LoadNow(open_exchanges=8, p95_seconds=0.1, tokens_per_second=100))
    slow = LoadNow(open_exchanges=8, p95_seconds=0.3, tokens_per_second=80)
    assert detector.explain(slow)[0] is Truth.UNKNOWN
    assert detector.explain(msgspec.structs.replace(slow, tokens_per_second=70))[0] is Truth.FALSE


def test_as_slow_as_ever_at_this_load_is_explained() -> None:
    truth, _, sentence = healthy(4, 16).explain(seen(16, 0.165))
    assert truth is Truth.TRUE
    assert "at this load" in sentence and "165 ms" in sentence


def test_slower_than_ever_at_this_load_is_not_explained() -> None:
    truth, _, sentence = healthy(4, 16).explain(seen(4, 0.14))
    assert truth is Truth.FALSE
    assert "stayed within" in sentence


def test_what_happened_at_a_lower_load_may_happen_at_a_higher() -> None:
    truth, _, sentence = healthy(16).explain(seen(60, 0.150))
    assert truth is Truth.TRUE
    assert "lower load" in sentence


def test_slower_than_even_at_a_higher_load_is_not_explained() -> None:
    truth, _, sentence = healthy(64).explain(seen(8, 0.9))
    assert truth is Truth.FALSE
    assert "above" in sentence


def test_a_latency_known_only_from_a_higher_load_is_unknown() -> None:
    assert healthy(4, 64).explain(seen(12, 0.25))[0] is Truth.UNKNOWN


def test_a_load_never_seen_is_unknown_without_rates_and_says_so() -> None:
    truth, _, sentence = healthy(12).explain(seen(64, 0.9))
    assert truth is Truth.UNKNOWN
    assert sentence.startswith("64 open exchanges, more than ever while healthy (12): the rate of tokens")


def test_slow_answers_that_raise_the_load_a_little_are_still_judged() -> None:
    assert healthy(7.6).explain(seen(8.0, 0.5))[0] is Truth.FALSE
    assert healthy(7.6).explain(seen(9.4, 0.5))[0] is Truth.FALSE
    assert healthy(7.6).explain(seen(9.6, 0.5))[0] is Truth.UNKNOWN


def test_without_enough_blocks_nothing_is_known() -> None:
    new = LoadExplainsLatency().explain(seen(4, 0.1))
    assert (new.truth, new.sentence) == (Truth.UNKNOWN, "no baseline of latency by load exists yet")
    assert new.reason is not None
    assert new.reason.kind is ReasonKind.LEARNING
    truth, _, sentence = healthy(4, blocks=9).explain(seen(4, 0.5))
    assert truth is Truth.UNKNOWN
    assert "9 of 10" in sentence


@pytest.mark.parametrize(("load", "p95"), [(None, 0.1), (4, None), (math.nan, 0.1), (4, math.inf), (-1, 0.1), (4, -1)])
def test_strange_numbers_are_unknown_and_are_not_learned(load: float | None, p95: float | None) -> None:
    detector = healthy(4)
    assert detector.explain(seen(load, p95))[0] is Truth.UNKNOWN
    assert not detector.learn(at(10_000), seen(load, p95))


@pytest.mark.parametrize("rate", [-1.0, math.nan, math.inf])
def test_a_strange_rate_is_unknown_too(rate: float) -> None:
    assert healthy(4).explain(seen(4, 0.1, prompts=rate))[0] is Truth.UNKNOWN


def test_longer_prompts_than_ever_are_no_sickness_at_any_load() -> None:
    detector = LoadExplainsLatency(settings=KNOBS)
    for block in range(40):
        detector.learn(at(10 * block), seen(8, 0.1, prompts=4_000))
    assert detector.explain(seen(8, 0.3, prompts=4_300))[0] is Truth.FALSE
    truth, _, sentence = detector.explain(seen(8, 0.3, prompts=40_000))
    assert truth is Truth.UNKNOWN
    assert "with as many prompt bytes: 0 of 10" in sentence


def test_healthy_load_swings_are_always_explained_and_a_sick_engine_never_is() -> None:
    detector, rng = healthy(*(2 ** (step / 4) for step in range(4, 22))), random.Random(5)
    for _ in range(100):
        load = 2 ** rng.uniform(1, 5)
        normal = 0.040 * math.sqrt(load) * rng.uniform(0.95, 1.05)
        assert detector.explain(seen(load, normal))[0] is Truth.TRUE
        assert detector.explain(seen(load, 3 * normal))[0] is Truth.FALSE


def test_one_pair_is_learned_a_block() -> None:
    detector = LoadExplainsLatency(settings=KNOBS)
    assert [detector.learn(at(second), seen(4, 0.1)) for second in range(21)] == [
        second % 10 == 0 for second in range(21)
    ]


def test_what_was_learned_just_before_something_went_wrong_is_dropped() -> None:
    knobs = LoadSettings(minimum_blocks=3, quarantine_seconds=60)
    detector = healthy(4, knobs=knobs, blocks=20)
    kept = detector.baseline.blocks
    for second in range(200, 260, 10):
        detector.learn(at(second), seen(4, 5.0))
    detector.disturbed()
    detector.learn(at(1000), seen(4, 0.08))
    assert detector.explain(seen(4, 5.0))[0] is Truth.FALSE
    assert detector.baseline.blocks <= kept + 6


def test_a_common_load_does_not_push_a_rare_one_out() -> None:
    knobs = LoadSettings(minimum_blocks=10, quarantine_seconds=0, blocks_per_bin=20)
    detector = healthy(64, *[2] * 10, knobs=knobs)
    assert detector.explain(seen(64, 0.3))[0] is Truth.TRUE
    assert detector.baseline.blocks == 40


def test_a_baseline_survives_a_restart_and_knows_its_age_and_size() -> None:
    first = healthy(4, 16)
    second = LoadExplainsLatency("model", KNOBS)
    assert second.load(first.dump()) == ""
    for load, p95 in ((4, 0.14), (16, 0.165), (64, 0.9)):
        assert second.explain(seen(load, p95)) == first.explain(seen(load, p95))
    assert second.baseline.blocks == 80
    assert second.baseline.age_seconds(at(1000).wall) == pytest.approx(210)
    second.learn(at(5, boot_id="another boot"), seen(4, 0.08))
    assert second.baseline.blocks == 80


@pytest.mark.parametrize(
    ("stored", "because"),
    [
        (b"", "cannot be read"),
        (b"\xff\x00", "cannot be read"),
        (b"[]", "cannot be read"),
        (b'{"version": 2, "key": "other"}', "another model"),
        (b'{"version": 2, "key": "model", "bins": {"4": [[4, -1]]}}', "numbers that cannot be"),
        (b'{"version": 2, "key": "model", "bins": {"4": [[4, 0.1, -1]]}}', "numbers that cannot be"),
        (b'{"key": "model", "bins": {"4": [[4, 0.1]]}}', "schema 1, this Watchtower reads 2"),
        (b'{"version": 3, "key": ["new"]}', "schema 3, this Watchtower reads 2"),
    ],
)
def test_a_stored_baseline_that_cannot_be_used_is_left_alone_and_says_why(stored: bytes, because: str) -> None:
    detector = healthy(4)
    before = detector.dump()
    assert because in detector.load(stored)
    assert detector.dump() == before
