"""Who has been silent, and who was only not listened to."""

from __future__ import annotations

from tests.windows.traffic import Relay, absorbed, busy_minute
from watchtower.vocabulary.facts import AnyFact, LoopLagged
from watchtower.vocabulary.reasons import ReasonKind
from watchtower.vocabulary.signals import Signal

LATENCY = Signal("inter_token_latency_seconds.p95")


def why(facts: list[AnyFact], now: float) -> tuple[ReasonKind, str]:
    reason = absorbed(facts).read(LATENCY, 60, now).reason
    assert reason is not None
    return reason.kind, reason.text


def test_a_daemon_that_stood_still_blames_itself_before_it_has_read_what_the_workers_said_meanwhile() -> None:
    relay = busy_minute()
    now = relay.now + 30
    kind, text = why([*relay.facts, LoopLagged(at=now, seconds=29)], now)
    assert (kind, "stood still" in text) == (ReasonKind.STALE, True)
    kind, text = why(relay.facts, now)
    assert (kind, "silent for 30.0 s" in text) == (ReasonKind.UNREADABLE, True), "without it the worker is to blame"


def test_nor_after_it_has_read_it() -> None:
    """Its socket was full, so that one frame brings the news of a long time."""
    relay = busy_minute()
    relay.now += 30
    relay.facts.append(LoopLagged(at=relay.now, seconds=29))
    relay.now += 0.5
    relay.frame()
    relay.silence(3)
    assert why(relay.facts, relay.now)[0] is ReasonKind.STALE


def test_a_worker_that_is_silent_longer_than_we_were_away_is_to_blame_for_the_rest() -> None:
    relay = busy_minute()
    lagged = LoopLagged(at=relay.now + 5, seconds=5)
    kind, text = why([*relay.facts, lagged], relay.now + 9)
    assert (kind, "silent for 4.0 s" in text) == (ReasonKind.UNREADABLE, True)


def test_while_a_silent_worker_keeps_its_streams_its_stand_in_does_not_speak_for_it() -> None:
    relay = busy_minute()
    stand_in = Relay(relay.now + 10, worker=1, pid=78)
    stand_in.silence(70)
    kind, text = why([*relay.facts, *stand_in.facts], stand_in.now)
    assert (kind, "relay worker 0 has been silent" in text) == (ReasonKind.UNREADABLE, True)
