"""Series by tag and variant: what is in them, what is in ``other``, and that nobody pays who names none."""

from __future__ import annotations

import pytest

from tests.windows.traffic import Relay, absorbed, closed, token
from watchtower.vocabulary.facts import Ending, ExchangeNews, Opened
from watchtower.vocabulary.readings import READINGS, Reading
from watchtower.vocabulary.reasons import ReasonKind
from watchtower.vocabulary.signals import MOST_LABELLED, Signal
from watchtower.windows import Windows, WindowSettings

P95, LONGEST = "inter_token_latency_seconds.p95", "inter_token_latency_seconds.max"
TTFT, ERRORS = "time_to_first_token_seconds.p50", "exchanges.error_ratio"
ARRIVALS, RATE = "exchanges.arrival_rate", "token_progress.rate"
LIVE, BATCH = Signal(P95, "live"), Signal(P95, "batch")


def asks(name: str, at: float, tag: str, model: str = "") -> ExchangeNews:
    return ExchangeNews(id=name, opened=Opened(at=at, path="/v1/completions", tag=tag, model=model, request_bytes=10))


def mixed(seconds: float = 61, model: str = "m-1") -> Relay:
    """For each tag thirty exchanges that give a token every so often: live 0.0625 s, batch 0.25 s, none 0.5 s."""
    relay = Relay()
    gaps = {"live": 0.0625, "batch": 0.25, "": 0.5}
    streams = [(f"{tag}{n}", tag, gap) for tag, gap in gaps.items() for n in range(30)]
    relay.frame([asks(name, relay.now, tag) for name, tag, _ in streams])
    relay.now += 0.25
    relay.frame(
        ExchangeNews(
            id=name,
            opened=Opened(at=relay.now - 0.25, path="/v1/completions", tag=tag, model=model, request_bytes=10),
            first_token_at=relay.now, first_tokens=1, last_token_at=relay.now,
        )
        for name, tag, _ in streams
    )  # fmt: skip
    start = relay.now
    while relay.now < start + seconds:
        relay.now += 0.0625
        elapsed = relay.now - start
        relay.frame(token(name, relay.now, gap) for name, _, gap in streams if elapsed % gap == 0)
    return relay


def watching(*signals: Signal) -> WindowSettings:
    return WindowSettings(signals=signals)


def value(windows: Windows, signal: Signal, relay: Relay, over: float = 60) -> float:
    reading = windows.read(signal, over, relay.now)
    assert reading.value is not None, reading.because
    return reading.value


def test_a_tag_is_read_by_itself_and_all_traffic_as_ever() -> None:
    relay = mixed()
    windows = absorbed(relay.facts, watching(LIVE, BATCH))
    assert value(windows, LIVE, relay) == pytest.approx(0.0625, rel=0.01)
    assert value(windows, BATCH, relay) == pytest.approx(0.25, rel=0.01)
    everything = absorbed(relay.facts)
    for name in READINGS:
        assert windows.read(name, 60, relay.now) == everything.read(name, 60, relay.now), name


def test_a_bare_name_is_the_signal_of_all_traffic() -> None:
    relay = mixed(seconds=20)
    windows = absorbed(relay.facts)
    assert windows.read(P95, 15, relay.now) == windows.read(Signal(P95), 15, relay.now)


def test_a_series_is_what_windows_of_that_traffic_alone_would_read() -> None:
    """The counts, and the latencies with their bands: as if the others had never been."""
    relay = mixed()
    both = absorbed(relay.facts, watching(LIVE))
    alone = Relay()
    alone.facts.clear()
    for fact in relay.facts:
        news = [item for item in getattr(fact, "news", ()) if item.id.startswith("live")]
        alone.now = fact.at
        alone.frame(news)
    lonely = absorbed(alone.facts)
    for name in (P95, "inter_token_latency_seconds.mean", TTFT, LONGEST, RATE, ARRIVALS):
        ours, theirs = both.read(Signal(name, "live"), 60, relay.now), lonely.read(name, 60, relay.now)
        assert (ours.value, ours.low, ours.high, ours.samples) == (
            theirs.value,
            theirs.low,
            theirs.high,
            theirs.samples,
        )


def test_what_no_rule_names_is_other_and_counted() -> None:
    relay = mixed()
    windows = absorbed(relay.facts, watching(LIVE))
    other = Signal(P95, "other")
    assert value(windows, other, relay) == pytest.approx(0.5, rel=0.01)
    assert windows.other_exchanges == 60


def test_where_nothing_is_named_nothing_is_kept_and_nothing_counted() -> None:
    relay = mixed(seconds=5)
    windows = absorbed(relay.facts)
    assert windows.other_exchanges == 0
    reading = windows.read(LIVE, 60, relay.now)
    assert reading.value is None
    assert reading.reason is not None
    assert reading.reason.kind is ReasonKind.NOT_CONFIGURED


def test_a_variant_is_the_model_that_answered_not_the_one_that_was_asked_for() -> None:
    relay = Relay()
    relay.frame([asks(f"x{n}", relay.now, "live", model="m-1") for n in range(30)])
    for step in range(1, 500):
        relay.now += 0.125
        opened = Opened(at=relay.now, path="/v1/completions", tag="live", model="m-2") if step == 1 else None
        relay.frame(
            ExchangeNews(id=f"x{n}", opened=opened, last_token_at=relay.now, gaps_ns=[125_000_000], tokens=[1])
            for n in range(30)
        )
    asked, answered, either = Signal(P95, variant="m-1"), Signal(P95, variant="m-2"), Signal(P95, "live", "m-2")
    windows = absorbed(relay.facts, watching(asked, answered, either))
    assert value(windows, answered, relay) == value(windows, either, relay) == pytest.approx(0.125, rel=0.01)
    assert windows.read(asked, 60, relay.now).value is None


def test_failures_are_counted_for_the_tag_that_failed() -> None:
    relay = Relay()
    relay.silence(61)
    for n in range(20):
        relay.frame([asks(f"a{n}", relay.now, "live"), asks(f"b{n}", relay.now, "batch")])
        relay.now += 0.25
        relay.frame([closed(f"a{n}", relay.now, Ending.TRUNCATED), closed(f"b{n}", relay.now)])
    windows = absorbed(relay.facts, watching(Signal(ERRORS, "live"), Signal(ERRORS, "batch")))
    assert value(windows, Signal(ERRORS, "live"), relay, 30) == 1.0
    assert value(windows, Signal(ERRORS, "batch"), relay, 30) == 0.0
    assert value(windows, Signal(ERRORS), relay, 30) == 0.5
    assert value(windows, Signal(ARRIVALS, "live"), relay, 10) == 2.0


def test_a_tag_that_nobody_uses_is_idle_while_others_work() -> None:
    relay = mixed()
    windows = absorbed(relay.facts, watching(Signal(P95, "night"), Signal(RATE, "night")))
    for name in (P95, RATE, LONGEST):
        reading = windows.read(Signal(name, "night"), 60, relay.now)
        assert reading.reason is not None
        assert reading.reason.kind is ReasonKind.IDLE, name


def test_what_hides_all_traffic_hides_every_tag() -> None:
    relay = mixed()
    windows = absorbed(relay.facts, watching(LIVE))
    ours, all_of_it = windows.read(LIVE, 60, relay.now + 10), windows.read(P95, 60, relay.now + 10)
    assert ours.reason == all_of_it.reason
    assert all_of_it.reason is not None


def test_a_reading_says_whose_it_is() -> None:
    relay = mixed(seconds=5)
    windows = absorbed(relay.facts, watching(LIVE))

    def whose(reading: Reading) -> tuple[str, str, str]:
        return reading.name, reading.tag, reading.variant

    assert whose(windows.read(LIVE, 60, relay.now)) == (P95, "live", "")
    assert whose(windows.read(Signal(P95, "", "m"), 60, relay.now)) == (P95, "", "m")
    assert whose(windows.read(P95, 60, relay.now)) == (P95, "", "")


def test_beyond_the_most_that_are_kept_a_tag_is_not_configured_and_its_traffic_is_other() -> None:
    signals = [Signal(P95, f"tag-{n}") for n in range(MOST_LABELLED + 1)]
    relay = Relay()
    relay.frame([asks(f"x{n}", relay.now, f"tag-{n}") for n in range(MOST_LABELLED + 1)])
    windows = absorbed(relay.facts, watching(*signals))
    kept, late = (windows.read(signal, 60, relay.now).reason for signal in (signals[0], signals[-1]))
    assert kept is not None
    assert late is not None
    assert late.kind is ReasonKind.NOT_CONFIGURED
    assert kept.kind is not ReasonKind.NOT_CONFIGURED
    assert windows.other_exchanges == 1


def test_tags_that_clients_invent_take_no_memory() -> None:
    relay = Relay()
    for number in range(3000):
        relay.frame([asks(f"x{number}", relay.now, f"invented-{number}")])
        relay.frame([closed(f"x{number}", relay.now)])
    windows = absorbed(relay.facts, watching(LIVE))
    assert windows.other_exchanges == 3000
    assert len(windows._intake.labelled._known) <= 1024


@pytest.mark.parametrize("name", ["gpu_xid.fatal", "canary.latency", "exchanges.open", "similarity.mean"])
def test_what_has_no_tag_cannot_be_read_by_one(name: str) -> None:
    relay = mixed(seconds=5)
    signal = Signal(name, "live")
    reading = absorbed(relay.facts, watching(LIVE, signal)).read(signal, 60, relay.now)
    assert reading.reason is not None
    assert reading.reason.kind is ReasonKind.NOT_CONFIGURED
    assert "not known by tag" in reading.because


def test_a_name_that_does_not_exist_is_a_mistake_with_a_tag_or_without() -> None:
    with pytest.raises(KeyError):
        Windows().read(Signal("nothing.p95", "live"), 60, 0)
    with pytest.raises(KeyError):
        Windows(watching(Signal("nothing.p95", "live")))
