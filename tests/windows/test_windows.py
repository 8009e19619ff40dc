"""Facts go in; a reading comes out only where there is evidence, and says why where there is none."""

from __future__ import annotations

import math
import random
import time
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.windows.traffic import START, Relay, absorbed, busy_minute, closed, opened, seen, token
from watchtower.vocabulary.endings import COUNTS_AS
from watchtower.vocabulary.facts import (
    AnyFact,
    CanaryEnded,
    CanaryOutcome,
    CanaryStarted,
    Closed,
    Ending,
    EngineScrape,
    EngineSeen,
    ExchangeNews,
    LoopLagged,
    Opened,
    RelayFrame,
    RelayGone,
    RelayHello,
)
from watchtower.vocabulary.readings import READINGS, Reading
from watchtower.vocabulary.reasons import Reason, ReasonKind
from watchtower.windows import Windows, WindowSettings

P95 = "inter_token_latency_seconds.p95"
TTFT = "time_to_first_token_seconds.p95"
STALLED = "token_progress.stalled"
RATE = "token_progress.rate"
FEW = WindowSettings(minimum_tokens=3, minimum_requests=1, minimum_clusters=2)


def read(relay: Relay, name: str, over: float = 60, knobs: WindowSettings | None = None) -> Reading:
    return absorbed(relay.facts, knobs).read(name, over, relay.now)


# ── values ──────────────────────────────────────────────────────────────────────────────────────


def test_a_busy_minute_reads_its_p95_with_a_band_and_counts_requests_not_tokens() -> None:
    reading = read(busy_minute(gap=0.0625), P95)
    assert reading.value == pytest.approx(0.0625 * 1.02, rel=0.0055)
    assert reading.value is not None and reading.low is not None and reading.high is not None
    assert reading.low <= reading.value <= reading.high
    assert reading.samples == 25


def test_every_statistic_of_a_busy_minute_is_known() -> None:
    relay = busy_minute(gap=0.0625)
    windows = absorbed(relay.facts)
    for stat in ("p50", "p90", "p95", "p99", "max", "mean"):
        reading = windows.read(f"inter_token_latency_seconds.{stat}", 60, relay.now)
        assert reading.value == pytest.approx(0.0632, rel=0.03), stat
    assert windows.read("token_progress.rate", 60, relay.now).value == pytest.approx(25 / 0.0625, rel=0.03)
    assert windows.read("exchanges.open", 60, relay.now).value == 25
    assert windows.read(STALLED, 60, relay.now).value == 0


def test_k_tokens_after_one_gap_are_k_observations_of_their_share() -> None:
    relay = Relay()
    relay.serve("a", [0.5] * 20, tokens=5)
    windows = absorbed(relay.facts, FEW)
    assert windows.read("inter_token_latency_seconds.p50", 10, relay.now).value == pytest.approx(0.1, rel=0.006)
    assert windows.read("inter_token_latency_seconds.max", 10, relay.now).value == 0.5
    assert windows.totals_for_export("inter_token_latency_seconds").of("").count == 100


def test_time_to_first_token_runs_from_the_forwarding_of_the_head() -> None:
    relay = Relay()
    for number in range(30):
        relay.serve(f"x{number}", [], ttft=0.5)
        relay.silence(1)
    assert "too few requests" in read(relay, "time_to_first_token_seconds.p50", over=20).because
    reading = read(relay, "time_to_first_token_seconds.p50", over=45)
    assert reading.value == pytest.approx(0.5, rel=0.006)
    assert reading.samples == 30


def test_who_waits_for_a_first_token_is_not_seen_last() -> None:
    """Forty are answered in 50 ms, then thirty more get nothing: their p95 is what they have waited."""
    relay = Relay()
    relay.silence(1)
    for second in range(40):
        answered(relay, [f"x{second}"], 0.05)
        relay.silence(1)
    relay.frame(opened(f"w{n}", relay.now) for n in range(30))
    relay.silence(8)
    reading = read(relay, TTFT, over=40)
    assert reading.value == pytest.approx(8.0)
    assert reading.low == pytest.approx(8.0)
    assert reading.remark == "30 still wait for their first token"
    assert read(relay, "time_to_first_token_seconds.p50", over=40).value == pytest.approx(0.05, rel=0.006)


def test_where_nobody_gets_a_first_token_the_waits_are_a_least_and_the_value_is_unknown() -> None:
    relay = Relay()
    relay.silence(61)
    relay.frame(opened(f"w{n}", relay.now) for n in range(30))
    relay.silence(30)
    reading = read(relay, TTFT, over=20)
    assert reading.value is None
    assert (reading.low, reading.detail) == (30.0, "at least 30 s")
    assert reading.because == "30 exchanges are open and none gave a token"


# ── whose turn it is ────────────────────────────────────────────────────────────────────────────


def uploaded(name: str, at: float, whole_at: float) -> ExchangeNews:
    return ExchangeNews(id=name, opened=Opened(at=at, path="/v1/chat/completions", stream=True, whole_at=whole_at))


def test_a_slow_upload_is_no_time_to_first_token() -> None:
    """2 s of upload, then 20 ms to the first token."""
    relay = Relay()
    relay.silence(1)
    for number in range(25):
        name, began = f"x{number}", relay.now
        relay.frame([uploaded(name, began, 0.0)])
        relay.silence(2)
        relay.frame([uploaded(name, began, relay.now)])
        relay.now += 0.02
        relay.frame([ExchangeNews(id=name, first_token_at=relay.now, first_tokens=1, last_token_at=relay.now)])
        relay.frame([closed(name, relay.now)])
    assert read(relay, TTFT, over=50).value == pytest.approx(0.02, rel=0.006)


def test_while_the_client_sends_or_does_not_read_no_token_is_owed() -> None:
    relay = Relay()
    relay.frame([uploaded("known", relay.now, relay.now)])  # so that the worker is known to tell it
    relay.frame([closed("known", relay.now)])
    relay.frame([uploaded("a", relay.now, 0.0)])
    began = relay.now
    relay.silence(30)
    assert read(relay, STALLED, over=20).reason == Reason(
        ReasonKind.IDLE, "no token is owed: clients are to send or to read", "relay"
    )
    relay.frame([uploaded("a", began, relay.now)])
    relay.silence(4)
    assert read(relay, STALLED, over=20).value == 4
    relay.frame([ExchangeNews(id="a", first_token_at=relay.now, first_tokens=1, last_token_at=relay.now)])
    relay.frame([ExchangeNews(id="a", client_full=True)])
    relay.silence(40)
    assert read(relay, STALLED, over=20).reason is not None
    assert "no gap seen" not in read(relay, "inter_token_latency_seconds.max", over=20).because
    assert read(relay, "inter_token_latency_seconds.max", over=20).value is None
    relay.frame([ExchangeNews(id="a")])
    relay.silence(3)
    assert read(relay, STALLED, over=20).value == 3
    assert read(relay, "inter_token_latency_seconds.max", over=20).value == 3


def test_tokens_that_a_client_held_up_count_and_their_gap_is_nobodys() -> None:
    """1,500 tokens at 1 ms; a client that does not read for 4 s in between."""
    relay = busy_minute(gap=0.25)
    before = read(relay, "inter_token_latency_seconds.max").value
    relay.frame(ExchangeNews(id=f"x{n}", client_full=True) for n in range(25))
    relay.silence(4)
    relay.frame(
        ExchangeNews(id=f"x{n}", last_token_at=relay.now, more_tokens=700, client_held_ns=4_000_000_000)
        for n in range(25)
    )
    assert read(relay, "inter_token_latency_seconds.max").value == before
    tokens = read(relay, RATE, over=2)
    assert tokens.value is not None and tokens.value > 25 * 700 / 2 * 0.9
    assert read(relay, P95).value == pytest.approx(0.25 * 1.02, rel=0.0055)


def test_a_choice_that_stands_still_while_the_others_flow_is_a_stall() -> None:
    relay = Relay()
    relay.silence(1)
    relay.frame([opened("a", relay.now)])
    relay.frame([ExchangeNews(id="a", first_token_at=relay.now, first_tokens=4, last_token_at=relay.now)])
    still = relay.now
    for _ in range(120):
        relay.now += 0.1
        flowing = ExchangeNews(
            id="a", last_token_at=relay.now, gaps_ns=[100_000_000], tokens=[1], more_tokens=2, slowest_choice_at=still
        )
        relay.frame([flowing])
    assert read(relay, "inter_token_latency_seconds.max", over=10).value == pytest.approx(12)
    relay.frame([ExchangeNews(id="a", slowest_choice_at=relay.now)])  # it has finished
    assert read(relay, "inter_token_latency_seconds.max", over=10).value == pytest.approx(0.1)


@pytest.mark.parametrize(("choices", "gap"), [(4, 0.32), (32, 0.4)])
def test_interleaved_choices_are_read_at_the_pace_of_any_one_of_them(choices: int, gap: float) -> None:
    """One observation a read, the longest wait over the choices in it; a gap of one overlaps those of the others."""
    relay = Relay()
    relay.silence(1)
    for number in range(25):
        name = f"x{number}"
        relay.frame([opened(name, relay.now)])
        relay.now += gap
        at = relay.now
        relay.frame([ExchangeNews(id=name, first_token_at=at, first_tokens=choices, last_token_at=at)])
        for _ in range(6):
            relay.now += gap
            gaps, at = [round(gap * 1e9)] * choices, relay.now
            relay.frame([ExchangeNews(id=name, last_token_at=at, gaps_ns=gaps, tokens=[1] * choices)])
        relay.frame([closed(name, relay.now)])
    over = 7 * 20 * gap
    windows = absorbed(relay.facts)
    reading = windows.read(P95, over, relay.now)
    assert reading.value == pytest.approx(gap, rel=0.006)
    assert reading.samples in (20, 21), "no observation lies before its exchange began"
    assert windows.read(RATE, over, relay.now).value == pytest.approx(choices / gap, rel=0.03)


def test_the_longest_gap_includes_the_one_still_open() -> None:
    relay = busy_minute()
    relay.silence(7)
    assert read(relay, "inter_token_latency_seconds.max").value == pytest.approx(7, abs=0.1)


def test_the_error_ratio_leaves_out_our_own_answers_and_clients_that_left() -> None:
    relay = Relay()
    endings = [(Ending.COMPLETE, 200)] * 6 + [
        (Ending.ERROR, 500), (Ending.TRUNCATED, 200), (Ending.FAILED, 200), (Ending.REFUSED, 400),
        (Ending.OURS, 502), (Ending.CLIENT_LEFT, 200),
    ]  # fmt: skip
    for number, (ending, status) in enumerate(endings):
        relay.now += 1
        relay.frame([opened(f"x{number}", relay.now), closed(f"x{number}", relay.now, ending, status)])
    reading = read(relay, "exchanges.error_ratio", over=12)
    assert reading.value == pytest.approx(3 / 10)
    assert reading.samples == 10
    assert reading.low is not None and reading.high is not None
    assert 0 < reading.low < 0.3 < reading.high < 1


SHARES = [
    # ending, in the denominator, a failure
    (Ending.COMPLETE, 1, 0),
    (Ending.EMPTY, 1, 0),
    (Ending.FAILED, 1, 1),
    (Ending.ERROR, 1, 1),
    (Ending.TRUNCATED, 1, 1),
    (Ending.REFUSED, 1, 0),
    (Ending.SHED, 1, 0),
    (Ending.CLIENT_LEFT, 0, 0),
    (Ending.OURS, 0, 0),
    (Ending.UNOBSERVED, 0, 0),
]


@pytest.mark.parametrize(("ending", "counts", "fails"), SHARES)
def test_each_ending_is_in_the_share_of_failures_or_out_of_it(ending: Ending, counts: int, fails: int) -> None:
    relay = Relay()
    for number, kind in enumerate([Ending.COMPLETE] * 3 + [ending]):
        relay.now += 1
        relay.frame([opened(f"x{number}", relay.now), closed(f"x{number}", relay.now, kind)])
    windows = absorbed(relay.facts)
    reading = windows.read("exchanges.error_ratio", 4, relay.now)
    assert (reading.samples, reading.value) == (3 + counts, fails / 4)
    assert {kind.value: count for kind, count in windows.ended.items() if count} == (
        {"good": 4} if ending is Ending.COMPLETE else {"good": 3, COUNTS_AS[ending].value: 1}
    )


@pytest.mark.parametrize("ending", [ending for ending in Ending if ending is not Ending.COMPLETE])
def test_only_a_whole_answer_ends_a_warm_up_and_is_progress(ending: Ending) -> None:
    relay = Relay()
    relay.silence(1)
    facts: list[AnyFact] = [seen(START), *relay.facts, seen(relay.now, "200")]
    relay.facts.clear()
    relay.silence(1)
    relay.frame(opened(name, relay.now) for name in ("a", "b"))
    relay.silence(30)
    relay.frame([closed("a", relay.now, ending)])
    relay.silence(1)
    once = WindowSettings(warmup_requests=1)
    assert "warming up: 0 of 1" in absorbed([*facts, *relay.facts], once).read(P95, 10, relay.now).because
    stalled = absorbed([Relay().facts[0], *relay.facts]).read(STALLED, 20, relay.now)
    assert stalled.value is not None and stalled.value > 20, "the other one still waits"


def test_open_exchanges_are_averaged_over_time_not_over_frames() -> None:
    relay = Relay()
    relay.now += 1
    relay.frame([opened("a", relay.now)])
    relay.silence(9, step=0.25)  # nine seconds with one open, in many frames
    relay.frame([closed("a", relay.now)])
    relay.silence(10)
    assert read(relay, "exchanges.open", over=20).value == pytest.approx(9 / 20)


def test_open_exchanges_of_two_workers_add_up() -> None:
    first, second = Relay(worker=0), Relay(worker=1, pid=78)
    for relay, name in ((first, "a"), (second, "b")):
        relay.frame([opened(name, relay.now)])
        relay.silence(20)
    facts = sorted(first.facts + second.facts, key=lambda fact: fact.at)
    assert absorbed(facts).read("exchanges.open", 20, first.now).value == 2


def test_a_worker_that_was_replaced_tells_of_its_last_streams_beside_its_successor() -> None:
    """Both have the same number; neither makes the other's story begin anew."""
    retired, successor = Relay(pid=77), Relay(pid=78)
    for relay, name in ((retired, "a"), (successor, "b")):
        relay.frame([opened(name, relay.now)])
        relay.silence(20)
    facts = sorted(retired.facts + successor.facts, key=lambda fact: fact.at)
    windows = absorbed(facts)
    assert windows.read("exchanges.open", 15, retired.now).value == 2
    assert windows.read("token_progress.stalled", 15, retired.now).value is not None
    windows.absorb(RelayGone(at=retired.now, worker=0, pid=77))
    successor.silence(20)
    for fact in successor.facts[len(retired.facts) :]:
        windows.absorb(fact)
    assert windows.read("exchanges.open", 15, successor.now).value == 1


def test_windows_slide_by_dropping_what_is_too_old() -> None:
    relay = busy_minute(gap=0.25)
    relay.frame([closed(f"x{n}", relay.now) for n in range(25)])
    relay.silence(61)
    assert read(relay, P95).because.startswith("idle")
    relay = busy_minute(gap=0.25)
    for _ in range(60 * 16):
        relay.now += 0.0625
        relay.frame(token(f"x{n}", relay.now, 0.0625) for n in range(25))
    reading = read(relay, P95)
    assert reading.value == pytest.approx(0.0625, rel=0.006)
    assert read(relay, "inter_token_latency_seconds.p99", over=120).value == pytest.approx(0.25, rel=0.03)


def test_an_hour_is_readable_and_small() -> None:
    relay = Relay()
    relay.frame([opened(f"x{n}", relay.now) for n in range(25)])
    windows = absorbed(relay.facts)
    for _ in range(1850):
        relay.now += 2
        relay.facts.clear()
        relay.frame(token(f"x{n}", relay.now, 2, tokens=40) for n in range(25))
        windows.absorb(relay.facts[0])
    reading = windows.read(P95, 3600, relay.now)
    assert reading.value == pytest.approx(0.05, rel=0.006)
    assert windows.totals_for_export("inter_token_latency_seconds").of("").count == 1850 * 25 * 40


# ── why not ─────────────────────────────────────────────────────────────────────────────────────


def test_every_name_reads_unknown_with_a_reason_before_anything_was_seen() -> None:
    windows = Windows()
    for name in READINGS:
        reading = windows.read(name, 60, START)
        assert not reading.known and reading.because, name
    assert "NVML" in windows.read("gpu_utilization.spread", 60, START).because
    assert "references" in windows.read("similarity.mean", 60, START).because


def test_a_name_that_does_not_exist_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(KeyError, match="no_such"):
        Windows().read("no_such.reading", 60, START)


def test_a_silent_relay_is_not_an_idle_engine() -> None:
    relay = busy_minute()
    windows = absorbed(relay.facts)
    for name in (P95, TTFT, STALLED, "exchanges.open", "exchanges.error_ratio", "token_progress.rate"):
        assert "silent for 4.0 s" in windows.read(name, 60, relay.now + 4).because, name


def test_an_idle_engine_owes_no_token() -> None:
    relay = Relay()
    relay.silence(61)
    for name in (P95, TTFT, STALLED, "exchanges.error_ratio", "token_progress.rate"):
        assert read(relay, name).because.startswith("idle"), name
    assert read(relay, "exchanges.open").value == 0


def test_too_few_requests_or_tokens_give_no_number_but_say_what_is_missing() -> None:
    assert "19 of 20" in read(busy_minute(streams=19), P95).because
    assert "of 2000000" in read(busy_minute(), P95, knobs=WindowSettings(minimum_tokens=2_000_000)).because
    assert "of 90" in read(busy_minute(), P95, knobs=WindowSettings(minimum_clusters=90)).because


def test_a_window_that_reaches_back_over_the_first_frame_is_not_clean() -> None:
    relay = busy_minute()
    windows = absorbed(relay.facts)
    assert windows.clean_since == START
    assert "connected" in windows.read(P95, 62, relay.now).because
    assert windows.read(P95, 61, relay.now).known


@pytest.mark.parametrize("hole", ["sequence", "dropped", "pid", "gone", "hello", "silence", "lag"])
def test_any_hole_in_the_story_makes_the_windows_over_it_unknown(hole: str) -> None:
    relay = busy_minute()
    if hole == "sequence":
        relay.sequence += 1
    elif hole == "dropped":
        relay.dropped += 1
    elif hole == "pid":
        relay.pid += 1
    elif hole == "gone":
        relay.facts.append(RelayGone(at=relay.now, worker=0, pid=relay.pid))
        assert "no relay worker is connected" in read(relay, P95).because
    elif hole == "hello":
        relay.facts.append(
            RelayHello(at=relay.now, worker=0, pid=relay.pid, version="1", listening="a:1", upstream="b:2")
        )
    elif hole == "silence":
        relay.now += 4
    elif hole == "lag":
        relay.facts.append(LoopLagged(at=relay.now + 1, seconds=4))
    relay.silence(1)
    windows = absorbed(relay.facts)
    assert windows.clean_since == relay.now
    assert "inside the window" in windows.read(P95, 60, relay.now).because


def test_what_a_late_relay_measured_is_left_out_and_the_rest_counts() -> None:
    relay = busy_minute(gap=0.0625)
    before = read(relay, "inter_token_latency_seconds.max")
    relay.now += 0.5
    relay.frame([token("x1", relay.now, 0.5)], lag=0.45)
    windows = absorbed(relay.facts)
    assert windows.read(P95, 60, relay.now).known
    assert windows.read("inter_token_latency_seconds.max", 60, relay.now).value == pytest.approx(before.value, abs=0.5)
    assert windows.read(P95, 60, relay.now).remark == "1 of 23601 left out, the relay itself was late"
    assert windows.left_out == 1
    believed = absorbed(relay.facts, WindowSettings(relay_lag_seconds=0.5))
    assert believed.left_out == 0
    assert believed.read(P95, 60, relay.now).remark == ""


def test_a_late_relay_leaves_the_histogram_whole_and_the_reading_to_the_engine() -> None:
    """63 of 100 clients waited 233 ms for their first token because the relay was late, the others 25 ms."""
    relay = Relay()
    relay.silence(1)
    for second in range(46):
        if second % 6 == 0:  # eight seconds, with 7 or 8 requests each
            answered(relay, [f"late{second}.{n}" for n in range(7 if second == 0 else 8)], 0.233, lag=0.2)
        elif second < 45:
            answered(relay, [f"x{second}"], 0.025)
        relay.silence(1)
    relay.silence(4)
    windows = absorbed(relay.facts)
    totals = windows.totals_for_export("time_to_first_token_seconds").of("")
    assert (totals.count, totals.cumulative()[totals.bounds.index(0.1)]) == (100, 37)
    reading = windows.read(TTFT, 53, relay.now)
    assert reading.value == pytest.approx(0.025, rel=0.006)
    assert reading.remark == "63 of 100 left out, the relay itself was late"
    assert windows.left_out == 63


def answered(relay: Relay, names: list[str], waited: float, lag: float = 0.0) -> None:
    """The first token of each, told by a frame whose worker was ``lag`` seconds late."""
    relay.frame([opened(name, relay.now) for name in names])
    relay.now += waited
    at = relay.now
    relay.frame([ExchangeNews(id=name, first_token_at=at, first_tokens=1, last_token_at=at) for name in names], lag=lag)
    relay.frame([closed(name, at) for name in names])


def test_a_window_of_which_everything_was_left_out_is_stale_not_idle() -> None:
    relay = Relay()
    relay.silence(61)
    answered(relay, ["a"], 0.2, lag=0.2)
    reading = read(relay, TTFT)
    assert reading.reason == Reason(ReasonKind.STALE, "1 of 1 left out, the relay itself was late", "relay")


def test_one_late_second_blinds_no_window_however_short() -> None:
    relay = busy_minute()
    relay.now += 0.5
    relay.frame([token("x1", relay.now, 0.5)], lag=0.45)
    assert absorbed(relay.facts, WindowSettings(minimum_clusters=3)).read(P95, 4, relay.now).known


def test_a_relay_that_is_late_all_the_time_measures_only_itself() -> None:
    relay = busy_minute()
    for _ in range(14):
        relay.now += 1
        relay.frame([token("x1", relay.now, 1.0)], lag=0.006)
    windows = absorbed(relay.facts)
    assert "over 5 ms late in 14 of 60 s, at worst 6 ms" in windows.read(P95, 60, relay.now).because
    assert windows.read("token_progress.rate", 60, relay.now).known
    assert absorbed(relay.facts, WindowSettings(relay_lag_seconds=0.05)).read(P95, 60, relay.now).known


def test_an_ending_that_fell_off_the_queue_leaves_no_ghost_behind() -> None:
    relay = Relay()
    relay.frame([opened("a", relay.now), opened("b", relay.now)])
    relay.silence(5)
    relay.dropped += 1
    relay.silence(2)
    assert absorbed(relay.facts).open_exchanges == 2
    relay.dropped += 1
    relay.open.clear()
    relay.silence(2)
    assert absorbed(relay.facts).open_exchanges == 0


def test_a_stream_told_again_after_a_reconnect_adds_no_tokens_it_had_before() -> None:
    relay = Relay()
    again = opened("a", START - 100)
    relay.frame([msgspec.structs.replace(again, first_token_at=START - 99, last_token_at=START - 1)])
    relay.silence(9)
    relay.frame([msgspec.structs.replace(closed("a", relay.now), closed=Closed(relay.now, Ending.COMPLETE, 200, 900))])
    relay.silence(1)
    assert read(relay, "token_progress.rate", over=10).value == 0


def test_an_answer_in_one_piece_brings_its_tokens_with_its_end() -> None:
    relay = Relay()
    relay.frame([opened("a", relay.now)])
    relay.silence(9)
    relay.frame([msgspec.structs.replace(closed("a", relay.now), closed=Closed(relay.now, Ending.COMPLETE, 200, 900))])
    relay.silence(1)
    assert read(relay, "token_progress.rate", over=10).value == 90


def asked(name: str, at: float, size: int) -> ExchangeNews:
    return ExchangeNews(id=name, opened=Opened(at=at, path="/v1/chat/completions", request_bytes=size))


def test_arrivals_and_prompt_bytes_are_counted_at_their_opening_and_once() -> None:
    relay = Relay()
    relay.silence(10)
    relay.frame([asked("a", relay.now - 0.5, 3_000), asked("b", relay.now, 1_000)])
    relay.frame([asked("b", relay.now, 1_000)])
    relay.silence(9)
    assert read(relay, "exchanges.arrival_rate", over=10).value == 0.2
    assert read(relay, "exchanges.prompt_rate", over=10).value == 400
    relay.silence(2)
    assert read(relay, "exchanges.arrival_rate", over=10).value == 0


def test_a_prompt_that_waited_in_a_queue_is_work_when_it_is_done() -> None:
    relay = Relay()
    relay.silence(5)
    relay.frame([asked("a", relay.now, 50_000), asked("b", relay.now, 30_000), asked("c", relay.now, 10_000)])
    relay.silence(30)
    relay.frame([ExchangeNews(id="a", first_token_at=relay.now, first_tokens=1, last_token_at=relay.now)])
    relay.frame([closed("b", relay.now), closed("c", relay.now, ending=Ending.CLIENT_LEFT)])
    relay.frame([closed("a", relay.now)])
    relay.silence(5)
    assert read(relay, "exchanges.prompt_rate", over=10).value == 8_000


def test_a_request_without_a_length_makes_the_prompt_bytes_unknown_not_few() -> None:
    relay = Relay()
    relay.silence(10)
    relay.frame([asked("a", relay.now, 3_000), asked("b", relay.now, 0)])
    relay.silence(2)
    reading = read(relay, "exchanges.prompt_rate", over=10)
    assert reading.value is None
    assert reading.because == "1 of 2 requests told no length"
    assert read(relay, "exchanges.arrival_rate", over=10).value == 0.2


# ── incarnations ────────────────────────────────────────────────────────────────────────────────


def test_the_first_incarnation_ever_seen_starts_no_warm_up() -> None:
    relay = busy_minute()
    windows = absorbed([seen(START), *relay.facts, seen(relay.now)])
    assert windows.read(P95, 60, relay.now).known


def test_an_engine_that_is_not_running_is_no_new_incarnation() -> None:
    relay = busy_minute()
    down = EngineSeen(at=START + 1, known=True, incarnation=None)
    windows = absorbed([seen(START), down, seen(START + 2), *relay.facts])
    assert windows.read(P95, 60, relay.now).known


def test_a_new_incarnation_warms_up_until_enough_requests_are_served() -> None:
    relay = busy_minute()
    knobs = replace(FEW, warmup_requests=3)
    facts = [seen(START), *relay.facts, seen(relay.now, id="200")]
    windows = absorbed(facts, knobs)
    relay.facts.clear()
    relay.silence(1)
    for number in range(3):
        assert f"{number} of 3 requests" in windows.read(P95, 5, relay.now).because
        relay.serve(f"new{number}", [0.25] * 4)
        for fact in relay.facts:
            windows.absorb(fact)
        relay.facts.clear()
    warm = relay.now
    assert windows.clean_since == warm
    assert "warmed up" in windows.read(P95, 5, relay.now).because
    relay.serve("after", [0.25] * 24)
    for fact in relay.facts:
        windows.absorb(fact)
    assert windows.read(P95, 5, relay.now).value == pytest.approx(0.25, rel=0.006)


def test_a_warm_up_ends_by_time_when_there_is_no_traffic() -> None:
    relay = Relay()
    windows = absorbed([*relay.facts, seen(START), seen(START + 1, id="200")])
    relay.facts.clear()
    relay.silence(700)
    for fact in relay.facts:
        windows.absorb(fact)
    assert "warming up" in windows.read(STALLED, 60, START + 600).because
    assert windows.read(STALLED, 60, relay.now).because.startswith("idle")
    assert windows.clean_since == START + 601


def test_what_a_dead_engine_left_behind_is_ignored() -> None:
    relay = busy_minute()
    relay.facts = [seen(START), *relay.facts, seen(relay.now, id="200")]
    for _ in range(30):
        relay.now += 1
        relay.frame(token(f"x{n}", relay.now, 1.0) for n in range(25))
    windows = absorbed(relay.facts, replace(FEW, warmup_requests=0))
    assert windows.read(P95, 20, relay.now).because.startswith("idle")
    assert windows.open_exchanges == 0


def test_an_exchange_of_the_dead_engine_that_is_told_again_is_not_taken_for_one_of_the_new() -> None:
    relay = Relay()
    relay.frame([opened("old", relay.now)])
    facts = [*relay.facts, seen(START), seen(START + 5, id="200")]
    relay.facts.clear()
    relay.now += 1
    relay.frame([opened("old", START), opened("new", START + 6)])
    relay.now = START + 6
    relay.frame([opened("new", START + 6)])
    assert absorbed([*facts, *relay.facts]).open_exchanges == 1


# ── stall ───────────────────────────────────────────────────────────────────────────────────────


def test_a_hang_counts_from_the_last_token_of_anybody() -> None:
    relay = busy_minute()
    relay.silence(12)
    assert read(relay, STALLED).value == pytest.approx(12)
    relay.now += 1
    relay.frame([token("x3", relay.now, 13)])
    assert read(relay, STALLED).value == 0


def test_after_an_idle_hour_a_stall_counts_from_the_opening_of_the_oldest() -> None:
    relay = Relay()
    relay.serve("a", [0.25])
    relay.silence(100)
    relay.frame([opened("b", relay.now)])
    relay.silence(8)
    reading = read(relay, STALLED)
    assert reading.value == 8
    assert "1 of 1 open exchanges still wait for their first token" in reading.because


def test_a_completed_response_is_progress_even_without_a_streamed_token() -> None:
    relay = Relay()
    relay.frame([opened("a", relay.now), opened("b", relay.now)])
    relay.silence(30)
    relay.frame([closed("a", relay.now)])
    relay.silence(5)
    assert read(relay, STALLED).value == 5


def test_after_a_reconnect_a_stall_is_not_claimed_for_the_time_nobody_watched() -> None:
    relay = busy_minute()
    relay.facts.append(RelayGone(at=relay.now, worker=0, pid=relay.pid))
    relay.now += 30
    relay.frame([opened("x1", START)])
    relay.silence(3)
    assert not read(relay, STALLED, over=5).known
    relay.silence(3)
    assert read(relay, STALLED, over=5).value == 6


# ── probes ──────────────────────────────────────────────────────────────────────────────────────


def ended(at: float, outcome: CanaryOutcome, seconds: float, because: str = "") -> CanaryEnded:
    return CanaryEnded(at=at, id=f"c{at}", started_at=at - seconds, outcome=outcome, seconds=seconds, because=because)


def unanswered(facts: list[AnyFact], now: float, over: float = 60) -> Reading:
    return absorbed(facts).read("canary.unanswered", over, now)


def test_a_served_canary_reads_zero_unanswered_and_its_latency() -> None:
    windows = absorbed([ended(100, CanaryOutcome.SERVED, 0.2)])
    assert windows.read("canary.unanswered", 60, 130).value == 0
    assert windows.read("canary.latency", 60, 130).value == 0.2
    assert not windows.read("canary.unanswered", 60, 161).known
    assert not windows.read("canary.latency", 60, 161).known


def test_a_running_canary_counts_while_it_runs() -> None:
    assert unanswered([CanaryStarted(at=100, id="a")], 107).value == 7


def test_a_canary_that_never_reports_back_is_no_evidence() -> None:
    assert "never reported back" in unanswered([CanaryStarted(at=100, id="a")], 200).because


def test_a_hung_canary_reads_its_deadline_and_the_next_one_does_not_reset_it() -> None:
    facts: list[AnyFact] = [ended(115, CanaryOutcome.HUNG, 15)]
    assert unanswered(facts, 120).value == 15
    assert unanswered([*facts, CanaryStarted(at=117, id="b")], 120).value == 20
    assert unanswered([*facts, ended(135, CanaryOutcome.HUNG, 15)], 140).value == 35
    assert unanswered([*facts, ended(135, CanaryOutcome.SERVED, 1)], 140).value == 0


def test_a_dead_engine_is_seen_once_it_had_served() -> None:
    refused = [ended(100.0 + 10 * n, CanaryOutcome.REFUSED, 0.01, "connection refused") for n in range(8)]
    never = unanswered([*refused], 175)
    assert not never.known
    assert "connection refused" in never.because
    assert unanswered([ended(50, CanaryOutcome.SERVED, 0.2), *refused], 175).value == pytest.approx(70.01)


def test_canaries_from_before_a_restart_or_a_gap_of_ours_do_not_count() -> None:
    hung: AnyFact = ended(115, CanaryOutcome.HUNG, 15)
    assert not unanswered([seen(1), hung, seen(116, id="200")], 120).known
    assert not unanswered([hung, LoopLagged(at=116, seconds=5)], 120).known
    assert not unanswered([seen(1), seen(110, id="200"), hung], 120).known


def test_engine_figures_come_from_the_newest_scrape_in_the_window() -> None:
    windows = absorbed([EngineScrape(at=100, ok=True, running=3, waiting=1, kv_cache_ratio=0.5)])
    assert windows.read("engine_running", 10, 105).value == 3
    assert windows.read("engine_waiting", 10, 105).value == 1
    assert windows.read("engine_kv_cache_ratio", 10, 105).value == 0.5
    assert "11 s old" in windows.read("engine_running", 10, 111).because
    windows.absorb(EngineScrape(at=106, ok=False, because="timeout"))
    assert "timeout" in windows.read("engine_running", 10, 107).because
    windows.absorb(EngineScrape(at=108, ok=True, running=math.nan))
    assert not windows.read("engine_running", 10, 109).known
    assert "does not report" in windows.read("engine_waiting", 10, 109).because


# ── metamorphic ─────────────────────────────────────────────────────────────────────────────────


def shifted(facts: list[AnyFact], by: float) -> list[AnyFact]:
    """The same trace at another time: every stamp is moved."""

    def move(value: object) -> object:
        if isinstance(value, msgspec.Struct):
            stamps = {"at", "first_token_at", "last_token_at", "started_at"}
            return msgspec.structs.replace(
                value,
                **{
                    field: getattr(value, field) + by
                    if field in stamps and getattr(value, field) is not None
                    else move(getattr(value, field))
                    for field in value.__struct_fields__
                },
            )
        return [move(item) for item in value] if isinstance(value, list) else value

    return [move(fact) for fact in facts]  # type: ignore[misc]


@pytest.mark.parametrize("by", [0.5, 3600.0, 123456.25])
def test_shifting_a_trace_in_time_changes_no_reading(by: float) -> None:
    relay = busy_minute(gap=0.25)
    relay.silence(3)
    here, there = absorbed(relay.facts), absorbed(shifted(relay.facts, by))
    for name in READINGS:
        unmoved, moved = here.read(name, 60, relay.now), there.read(name, 60, relay.now + by)
        assert unmoved.known == moved.known, name
        if unmoved.value is not None:
            assert moved.value == pytest.approx(unmoved.value, abs=1e-6), name


def random_minute(seed: int, order: int) -> Relay:
    """A minute of random gaps; ``order`` shuffles which of them comes when and to whom, nothing else."""
    rng, shuffle = random.Random(seed), random.Random(order)
    gaps = [rng.lognormvariate(-3, 0.5) for _ in range(60 * 30)]
    shuffle.shuffle(gaps)
    relay = Relay()
    relay.frame([opened(f"x{n}", relay.now) for n in range(30)])
    names = [f"x{n}" for n in range(30)]
    for second in range(60):
        relay.now += 1
        shuffle.shuffle(names)
        relay.frame(token(name, relay.now, gap) for name, gap in zip(names, gaps[second * 30 :], strict=False))
    return relay


def test_the_order_inside_a_window_changes_no_value() -> None:
    straight, mixed = random_minute(1, order=1), random_minute(1, order=2)
    for stat in ("p50", "p95", "p99", "mean", "max"):
        name = f"inter_token_latency_seconds.{stat}"
        assert read(straight, name).value == read(mixed, name).value


@pytest.mark.parametrize("seed", range(5))
def test_adding_ok_samples_never_raises_p95(seed: int) -> None:
    relay = random_minute(seed, order=0)
    windows = absorbed(relay.facts)
    before = windows.read(P95, 60, relay.now).value
    assert before is not None
    for _ in range(20):
        relay.frame(token(f"x{n}", relay.now, 0.5 * before) for n in range(30))
        windows.absorb(relay.facts[-1])
        after = windows.read(P95, 60, relay.now).value
        assert after is not None
        assert after <= before
        before = after


strange = st.sampled_from([math.nan, math.inf, -math.inf, -1.0, 0.0, START, START + 1, START + 2.5, 1e300])
whole = st.sampled_from([-(2**62), -1, 0, 1, 2, 3, 10**12, 2**62])
some_news = st.builds(
    ExchangeNews,
    id=st.sampled_from("abc"),
    opened=st.none() | st.builds(Opened, at=strange, path=st.just("/v1/completions")),
    first_token_at=st.none() | strange,
    first_tokens=whole,
    last_token_at=st.none() | strange,
    gaps_ns=st.lists(whole, max_size=3),
    tokens=st.lists(whole, max_size=3),
    closed=st.none() | st.sampled_from([closed("a", START).closed, closed("a", math.nan).closed]),
)
some_fact = st.one_of(
    st.builds(
        RelayFrame, at=strange, worker=st.integers(0, 1), pid=st.integers(0, 1), sequence=whole, open_exchanges=whole,
        loop_lag_seconds=strange, dropped_news=whole, news=st.lists(some_news, max_size=3),
    ),
    st.builds(RelayGone, at=strange, worker=st.integers(0, 1), pid=st.just(1)),
    st.builds(EngineScrape, at=strange, ok=st.booleans(), running=st.none() | strange),
    st.builds(CanaryStarted, at=strange, id=st.sampled_from("ab")),
    st.builds(
        CanaryEnded, at=strange, id=st.sampled_from("ab"), started_at=strange,
        outcome=st.sampled_from(CanaryOutcome), seconds=strange,
    ),
    st.sampled_from([seen(START), seen(START + 1, id="200"), EngineSeen(at=START, known=False)]),
    st.builds(LoopLagged, at=strange, seconds=strange),
)  # fmt: skip


@given(st.lists(some_fact, max_size=12))
@settings(max_examples=150, deadline=None)
def test_no_strange_input_raises_or_gives_a_number_that_is_none(facts: list[AnyFact]) -> None:
    windows = absorbed(facts)
    for name in READINGS:
        reading = windows.read(name, 2, START + 3)
        assert reading.known or reading.because
        assert reading.value is None or (math.isfinite(reading.value) and reading.value >= 0), name


def test_a_frame_stamped_in_the_far_future_does_not_blind_us() -> None:
    relay = busy_minute()
    windows = absorbed(relay.facts)
    assert windows.read(P95, 60, relay.now).known
    poison = RelayFrame(at=relay.now + 1e6, worker=5, pid=5, sequence=0, open_exchanges=0)
    windows.absorb(poison)
    assert windows.refused == 1
    assert windows.read(P95, 60, relay.now).known


def test_a_repeated_frame_counts_once() -> None:
    relay = busy_minute()
    twice = [fact for fact in relay.facts for _ in range(2)]
    assert absorbed(twice).read("token_progress.rate", 60, relay.now) == read(relay, "token_progress.rate")


# ── cost ────────────────────────────────────────────────────────────────────────────────────────


def test_a_thousand_tokens_a_second_cost_far_less_than_a_twentieth_of_a_core() -> None:
    relay = busy_minute(streams=64)  # 1,024 tokens/s for a minute
    windows = Windows()
    began = time.process_time()
    for fact in relay.facts:
        windows.absorb(fact)
    assert (time.process_time() - began) / 61 < 0.05


def test_twenty_readings_over_a_minute_are_quick() -> None:
    relay = busy_minute(streams=64)
    windows = absorbed(relay.facts)
    windows.read(P95, 60, relay.now)
    best = math.inf
    for _ in range(10):
        relay.now += 0.0625
        relay.facts.clear()
        relay.frame(token(f"x{n}", relay.now, 0.0625) for n in range(64))
        windows.absorb(relay.facts[0])
        began = time.process_time()
        for name in list(READINGS)[:20]:
            windows.read(name, 60, relay.now)
        best = min(best, time.process_time() - began)
    assert best < 0.005, f"{best * 1000:.1f} ms"
