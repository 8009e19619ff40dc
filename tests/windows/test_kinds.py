"""Every UNKNOWN names its kind by what happened. Sentences are for people; these kinds decide."""

from __future__ import annotations

import pytest

from tests.windows.traffic import START, Relay, absorbed, busy_minute, closed, opened, seen
from watchtower.vocabulary.facts import (
    CanaryEnded,
    CanaryOutcome,
    CanaryRound,
    CanaryStarted,
    Ending,
    EngineScrape,
    EngineSeen,
    GpuReport,
    LoopLagged,
    ReferencesKnown,
    RelayFrame,
    RelayGone,
)
from watchtower.vocabulary.gpus import GpuSeen, GpuSource, Trouble
from watchtower.vocabulary.readings import READINGS
from watchtower.vocabulary.reasons import Reason, ReasonKind
from watchtower.windows import Windows, WindowSettings

P95, STALLED = "inter_token_latency_seconds.p95", "token_progress.stalled"


def reason(windows: Windows, name: str = P95, over: float = 60, now: float = START) -> Reason:
    reading = windows.read(name, over, now)
    assert reading.value is None
    assert reading.reason is not None
    assert reading.because == reading.reason.text
    return reading.reason


def kind(windows: Windows, name: str = P95, over: float = 60, now: float = START) -> ReasonKind:
    return reason(windows, name, over, now).kind


@pytest.fixture(scope="module")
def minute() -> tuple[float, Windows]:
    """Its end, and windows that heard it: only to be read."""
    relay = busy_minute()
    return relay.now, absorbed(relay.facts)


@pytest.mark.parametrize("name", READINGS)
def test_whatever_is_unknown_has_a_reason_and_whatever_is_known_has_none(
    minute: tuple[float, Windows], name: str
) -> None:
    now, heard = minute
    for windows in (Windows(), heard):
        reading = windows.read(name, 60, now)
        assert (reading.value is None) is (reading.reason is not None)
        assert reading.reason is None or (reading.reason.text and reading.reason.part)


def test_a_relay_that_never_spoke_left_or_fell_silent_is_unreadable() -> None:
    assert reason(Windows()) == Reason(ReasonKind.UNREADABLE, "no relay has ever spoken", "relay")
    relay = busy_minute()
    assert kind(absorbed(relay.facts), now=relay.now + 4) is ReasonKind.UNREADABLE
    gone = absorbed([*relay.facts, RelayGone(at=relay.now, worker=0, pid=77)])
    assert kind(gone, now=relay.now) is ReasonKind.UNREADABLE


def test_a_relay_worker_that_only_begins_is_too_few_and_one_that_comes_back_is_a_loss() -> None:
    relay = Relay()
    relay.silence(5)
    assert kind(absorbed(relay.facts), now=relay.now) is ReasonKind.TOO_FEW
    relay.facts.append(RelayGone(at=relay.now, worker=0, pid=77))
    again = Relay(relay.now + 1, pid=78)
    again.silence(5)
    assert kind(absorbed(relay.facts + again.facts), now=again.now) is ReasonKind.UNREADABLE


def test_lost_frames_and_lost_news_are_unreadable() -> None:
    for change in ("sequence", "dropped"):
        relay = busy_minute()
        setattr(relay, change, getattr(relay, change) + 1)
        relay.silence(1)
        assert kind(absorbed(relay.facts), now=relay.now) is ReasonKind.UNREADABLE


def test_nobody_who_asks_is_idle() -> None:
    relay = Relay()
    relay.silence(70)
    windows = absorbed(relay.facts)
    for name in (P95, STALLED, "exchanges.error_ratio", "exchanges.arrival_rate", "token_progress.rate"):
        assert kind(windows, name, now=relay.now) is ReasonKind.IDLE


def test_few_who_ask_are_too_few() -> None:
    relay = busy_minute(streams=3)
    assert kind(absorbed(relay.facts), now=relay.now) is ReasonKind.TOO_FEW
    assert kind(absorbed(relay.facts), "exchanges.error_ratio", now=relay.now) is ReasonKind.TOO_FEW


def test_answers_that_pass_unread_are_unobserved_not_idle() -> None:
    relay = Relay()
    relay.silence(61)
    for number in range(3):
        relay.frame([opened(f"x{number}", relay.now)])
        relay.frame([closed(f"x{number}", relay.now, Ending.UNOBSERVED)])
    relay.silence(2)
    windows = absorbed(relay.facts)
    assert kind(windows, now=relay.now) is ReasonKind.UNOBSERVED
    assert kind(windows, "inter_token_latency_seconds.max", now=relay.now) is ReasonKind.UNOBSERVED
    assert "3 answers" in reason(windows, now=relay.now).text


def test_answers_in_one_piece_are_too_few_to_time_not_idle() -> None:
    relay = Relay()
    relay.silence(61)
    relay.frame([opened("x", relay.now)])
    relay.frame([closed("x", relay.now)])
    relay.silence(2)
    assert kind(absorbed(relay.facts), now=relay.now) is ReasonKind.TOO_FEW


def test_a_relay_that_measured_itself_and_a_daemon_that_stood_still_are_stale() -> None:
    relay = busy_minute()
    late = [fact for fact in relay.facts if isinstance(fact, RelayFrame)]
    for number in range(40):
        relay.now += 1
        relay.frame(lag=0.006 if number % 2 else 0.0)
    assert late
    assert kind(absorbed(relay.facts), now=relay.now) is ReasonKind.STALE
    relay = busy_minute()
    assert kind(absorbed([*relay.facts, LoopLagged(at=relay.now, seconds=9)]), now=relay.now) is ReasonKind.STALE


def test_an_engine_that_restarted_is_warming() -> None:
    relay = busy_minute()
    facts = [seen(START), *relay.facts, seen(relay.now, "200")]
    assert kind(absorbed(facts), now=relay.now) is ReasonKind.WARMING
    windows = absorbed(facts, WindowSettings(warmup_requests=0))
    assert kind(windows, now=relay.now) is ReasonKind.WARMING


def canary(outcome: CanaryOutcome, at: float = START) -> CanaryEnded:
    return CanaryEnded(at=at, id="c", started_at=at - 1, outcome=outcome, seconds=1, because="HTTP 401")


def test_a_canary_that_is_refused_or_never_reports_is_unreadable_and_one_that_is_not_due_is_too_few() -> None:
    name = "canary.unanswered"
    assert kind(Windows(), name) is ReasonKind.TOO_FEW
    assert kind(absorbed([canary(CanaryOutcome.REFUSED)]), name) is ReasonKind.UNREADABLE
    assert kind(absorbed([CanaryStarted(at=START, id="c")]), name, now=START + 100) is ReasonKind.UNREADABLE
    assert kind(absorbed([canary(CanaryOutcome.SERVED)]), name, now=START + 100) is ReasonKind.TOO_FEW


def test_a_scrape_that_fails_or_stays_away_is_unreadable_and_what_the_engine_never_tells_is_off() -> None:
    name = "engine_running"
    assert kind(Windows(), name) is ReasonKind.TOO_FEW
    refused = absorbed([EngineScrape(at=START, ok=False, because="HTTP 401")])
    assert kind(refused, name) is ReasonKind.UNREADABLE
    well = absorbed([EngineScrape(at=START, ok=True, running=1.0)])
    assert kind(well, name, now=START + 100) is ReasonKind.UNREADABLE
    assert kind(well, "engine_waiting") is ReasonKind.NOT_CONFIGURED


@pytest.mark.parametrize("told", [ReasonKind.NOT_CONFIGURED, ReasonKind.UNREADABLE])
def test_why_the_adapter_cannot_look_is_the_adapters_to_say(told: ReasonKind) -> None:
    windows = absorbed([EngineSeen(at=START, known=False, because="no supervisor", kind=told)])
    assert kind(windows, "engine.absent") is told


@pytest.mark.parametrize(
    ("trouble", "expected"),
    [
        (Trouble.DRIVER_WEDGED, ReasonKind.UNREADABLE),
        (Trouble.LOST, ReasonKind.UNREADABLE),
        (Trouble.MIG, ReasonKind.NOT_CONFIGURED),
        (Trouble.NOT_SUPPORTED, ReasonKind.NOT_CONFIGURED),
        (Trouble.RELEASED, ReasonKind.ELSEWHERE),
    ],
)
def test_what_troubles_a_gpu_has_its_kind(trouble: Trouble, expected: ReasonKind) -> None:
    relay = busy_minute()
    gpus = [GpuSeen(uuid=f"GPU-{n}", index=n, trouble=trouble) for n in range(2)]
    reports = [GpuReport(at=relay.now, source=GpuSource.NVML, gpus=gpus)]
    windows = absorbed([*relay.facts, *reports])
    assert kind(windows, "gpu_utilization.spread", now=relay.now) is expected
    assert kind(windows, "gpu_xid.fatal", now=relay.now) is expected
    whole = absorbed([GpuReport(at=START, source=GpuSource.NVML, trouble=trouble)])
    assert kind(whole, "gpu_xid.fatal") is expected


def test_a_machine_without_gpus_has_a_part_that_is_off() -> None:
    assert kind(Windows(), "gpu_xid.fatal") is ReasonKind.NOT_CONFIGURED


@pytest.mark.parametrize("told", [ReasonKind.NOT_CONFIGURED, ReasonKind.LEARNING, ReasonKind.UNREADABLE])
@pytest.mark.parametrize("name", ["similarity.mean", "live_agreement.mean"])
def test_why_there_are_no_references_is_handed_on(name: str, told: ReasonKind) -> None:
    windows = absorbed([ReferencesKnown(at=START, usable=0, because="none", kind=told)])
    assert kind(windows, name) is told


@pytest.mark.parametrize("told", [ReasonKind.IDLE, ReasonKind.TOO_FEW, ReasonKind.UNREADABLE])
def test_why_a_round_was_not_asked_is_handed_on(told: ReasonKind) -> None:
    windows = absorbed(
        [
            ReferencesKnown(at=START, usable=20),
            CanaryRound(at=START, round=1, asked=0, answered=0, because="canaries rest", kind=told),
        ]
    )
    assert kind(windows, "prefix_agreement.mean") is told


def test_a_set_without_vectors_has_no_encoder_configured() -> None:
    windows = absorbed([ReferencesKnown(at=START, usable=20, encoder_because="no encoder was there")])
    assert reason(windows, "similarity.mean") == Reason(ReasonKind.NOT_CONFIGURED, "no encoder was there", "encoder")
