"""The first level that holds is said, worst first; what is not known is never well; calmer words come late."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from watchtower.vocabulary.actions import Cure
from watchtower.vocabulary.errors import ExitCode
from watchtower.vocabulary.headline import (
    CALMER_SECONDS,
    EXIT_CODES,
    Headline,
    Holds,
    Level,
    Steady,
    Watched,
    as_of,
    headline,
)
from watchtower.vocabulary.readings import Reading, RuleVerdict, Severity, Verdict
from watchtower.vocabulary.reasons import Reason, ReasonKind

NOW = 1000.0
LATENCY = "inter_token_latency_seconds.p95"


def reading(name: str, value: float | None) -> Reading:
    reason = None if value is not None else Reason(ReasonKind.IDLE, "idle")
    return Reading(name=name, over=60, at=NOW, value=value, reason=reason)


def judged(name: str = LATENCY, verdict: Verdict = Verdict.OK, rule: str = "slow_tokens") -> RuleVerdict:
    return RuleVerdict(
        rule=rule,
        verdict=verdict,
        firing=verdict is Verdict.BREACH,
        since=900.0,
        severity=Severity.PAGE,
        cure=Cure.NOTHING,
        sentence=f"{name} is {verdict}",
        readings=(reading(name, 0.04),),
    )


def unknown(kind: ReasonKind, rule: str = "slow_tokens", text: str = "why") -> RuleVerdict:
    return RuleVerdict(
        rule=rule,
        verdict=Verdict.UNKNOWN,
        firing=False,
        severity=Severity.PAGE,
        sentence="cannot tell",
        reasons=(Reason(kind, text),),
        readings=(reading(LATENCY, None),),
    )


def watched(*verdicts: RuleVerdict, **more: Any) -> Watched:
    fields: dict[str, Any] = {"tick_at": NOW - 1, "tick_seconds": 1.0, "started_at": 0.0} | more
    return Watched(target="chat-7b", verdicts=verdicts, **fields)


IT_HOLDS = Holds("it holds", 950.0, "watchtower explain inc-1")


@pytest.mark.parametrize(
    ("level", "of"),
    [
        (Level.DAEMON, None),
        (Level.DAEMON, watched(judged(), tick_at=NOW - 3.5)),
        (Level.DAEMON, watched(tick_at=None, started_at=NOW - 60)),
        (Level.GONE, watched(judged("engine.absent", Verdict.BREACH), incident=IT_HOLDS)),
        (Level.INCIDENT, watched(judged("engine.absent", Verdict.BREACH), incident=IT_HOLDS, curing=True)),
        (Level.INCIDENT, watched(judged(), incident=IT_HOLDS, turning_away=IT_HOLDS)),
        (Level.TURNING_AWAY, watched(unknown(ReasonKind.UNREADABLE), turning_away=IT_HOLDS)),
        (Level.BLIND, watched(unknown(ReasonKind.UNREADABLE), paused=IT_HOLDS)),
        (Level.BLIND, watched(judged(), bypassed=IT_HOLDS)),
        (Level.PARTLY_BLIND, watched(judged(), unknown(ReasonKind.UNOBSERVED, "hang"), paused=IT_HOLDS)),
        (Level.PAUSED, watched(judged(), paused=IT_HOLDS)),
        (Level.ELSEWHERE, watched(unknown(ReasonKind.ELSEWHERE), unknown(ReasonKind.WARMING, "hang"))),
        (Level.WARMING, watched(unknown(ReasonKind.WARMING))),
        (Level.IDLE, watched(unknown(ReasonKind.IDLE))),
        (Level.IDLE, watched(unknown(ReasonKind.TOO_FEW))),
        (Level.IDLE, watched(judged("engine_running"))),
        (Level.IDLE, watched(tick_at=None, started_at=NOW - 1)),
        (Level.WELL, watched(judged(), unknown(ReasonKind.NOT_CONFIGURED, "drift"))),
        (Level.WELL, watched(judged("canary.unanswered"))),
    ],
)
def test_the_worst_that_holds_is_said(level: Level, of: Watched | None) -> None:
    assert headline(of, NOW).level is level


def test_only_well_says_that_nothing_is_wrong() -> None:
    assert headline(watched(judged()), NOW).sentence == "chat-7b: nothing is wrong"
    for kind in ReasonKind:
        assert "nothing is wrong" not in headline(watched(unknown(kind)), NOW).sentence


def test_every_level_has_its_exit_code_and_only_what_needs_nobody_exits_0() -> None:
    assert set(EXIT_CODES) == set(Level)
    assert {level for level, code in EXIT_CODES.items() if code is ExitCode.OK} == {
        Level.PAUSED, Level.ELSEWHERE, Level.WARMING, Level.IDLE, Level.WELL
    }  # fmt: skip
    assert headline(None, NOW).exit_code is ExitCode.UNREACHABLE
    assert headline(watched(unknown(ReasonKind.STALE)), NOW).exit_code is ExitCode.UNDECIDED


def test_what_does_not_answer_just_after_our_start_is_not_yet_blindness() -> None:
    blind = unknown(ReasonKind.UNREADABLE, text="no relay has ever spoken")
    early = headline(watched(blind, started_at=NOW - 70), NOW)  # a window of 60 s
    assert (early.level, early.sentence) == (
        Level.WARMING,
        "chat-7b: Watchtower has just started · no relay has ever spoken",
    )
    assert headline(watched(blind, started_at=NOW - 80), NOW).level is Level.BLIND


def test_what_the_level_hides_is_said_beside_it() -> None:
    found = headline(watched(unknown(ReasonKind.UNREADABLE, text="the relay is silent"), incident=IT_HOLDS), NOW)
    assert found.sentence == "chat-7b: it holds"
    assert found.also == ("no rule can be judged · the relay is silent",)
    assert headline(watched(judged(), incident=IT_HOLDS), NOW).also == (), "that a rule judges is no news"


def test_how_many_judge_and_why_the_others_do_not() -> None:
    found = headline(
        watched(
            judged(),
            unknown(ReasonKind.NOT_CONFIGURED, "drift"),
            unknown(ReasonKind.NOT_CONFIGURED, "floor"),
            unknown(ReasonKind.LEARNING, "creep"),
        ),
        NOW,
    )
    assert (found.judging, found.rules) == (1, 4)
    assert found.remark == "1 of 4 rules judge; 1 is learning; 2 are off"


def test_an_evaluation_that_stays_away_is_found_by_whoever_asks() -> None:
    seen = watched(judged(), tick_at=NOW)
    shown = headline(seen, NOW)
    assert as_of(shown, seen, NOW + 2) is shown
    assert as_of(shown, seen, NOW + 10).sentence == "chat-7b: Watchtower stands still: it last judged 10 s ago"


def found(level: Level, since: float) -> Headline:
    return Headline(level=level, sentence=level.value, since=since)


def test_worse_is_said_at_once_and_calmer_only_after_it_held() -> None:
    steady = Steady()
    assert steady.update(found(Level.WELL, 0), 0).level is Level.WELL
    assert steady.update(found(Level.GONE, 1), 1).level is Level.GONE
    assert steady.update(found(Level.WELL, 2), 2).level is Level.GONE
    assert steady.update(found(Level.INCIDENT, 9), 9).level is Level.GONE, "calmer as well"
    assert steady.update(found(Level.GONE, 10), 10).level is Level.GONE
    assert steady.update(found(Level.WELL, 11), 11).level is Level.GONE, "counted anew"
    assert steady.update(found(Level.WELL, 11 + CALMER_SECONDS), 11 + CALMER_SECONDS).level is Level.WELL


def test_a_level_that_called_nobody_gives_way_at_once() -> None:
    steady = Steady()
    steady.update(found(Level.WARMING, 0), 0)
    assert steady.update(found(Level.WELL, 1), 1).level is Level.WELL


def test_a_level_that_goes_on_goes_on_since_it_began() -> None:
    steady = Steady()
    steady.update(found(Level.BLIND, 5), 5)
    assert steady.update(found(Level.BLIND, 50), 50).since == 5


def test_a_headline_travels_as_plain_values() -> None:
    assert msgspec.json.encode(headline(watched(judged()), NOW))
