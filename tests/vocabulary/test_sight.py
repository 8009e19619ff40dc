"""One function says how much is seen. Every case of a dead part beside a resting engine has its line here."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchtower.vocabulary.actions import Cure
from watchtower.vocabulary.readings import Reading, RuleVerdict, Severity, Verdict
from watchtower.vocabulary.reasons import LOUD, Reason, ReasonKind
from watchtower.vocabulary.sight import WatchState, loudest_of, traffic_unreadable, watch_state

SEEING, PARTLY, BLIND, IDLE = WatchState.SEEING, WatchState.PARTLY_BLIND, WatchState.BLIND, WatchState.IDLE


def unknown(*kinds: ReasonKind, sentence: str = "", reading: str = "inter_token_latency_seconds.p95") -> RuleVerdict:
    return RuleVerdict(
        rule="rule",
        verdict=Verdict.UNKNOWN,
        firing=False,
        severity=Severity.PAGE,
        sentence=sentence,
        reasons=tuple(Reason(kind, sentence or str(kind)) for kind in kinds),
        readings=(Reading(name=reading, over=60, at=0, value=None),),
    )


def known(verdict: Verdict = Verdict.OK, severity: Severity = Severity.PAGE, cure: Cure = Cure.NOTHING) -> RuleVerdict:
    return RuleVerdict(rule="other", verdict=verdict, firing=False, severity=severity, cure=cure)


@pytest.mark.parametrize(
    ("verdicts", "state"),
    [
        ([], IDLE),
        ([known()], SEEING),
        ([known(Verdict.BREACH)], SEEING),
        ([known(), unknown(ReasonKind.IDLE)], SEEING),
        ([known(), unknown(ReasonKind.NOT_CONFIGURED)], SEEING),
        ([known(), unknown(ReasonKind.UNREADABLE)], PARTLY),
        ([unknown(ReasonKind.UNREADABLE)], BLIND),
        ([unknown(ReasonKind.UNOBSERVED)], BLIND),
        ([unknown(ReasonKind.STALE)], BLIND),
        ([unknown()], BLIND),
        ([unknown(ReasonKind.IDLE)], IDLE),
        ([unknown(ReasonKind.TOO_FEW), unknown(ReasonKind.LEARNING)], IDLE),
        ([unknown(ReasonKind.UNREADABLE), unknown(ReasonKind.NOT_CONFIGURED)], BLIND),
        ([unknown(ReasonKind.UNREADABLE), unknown(ReasonKind.IDLE)], PARTLY),
        ([unknown(ReasonKind.UNREADABLE), unknown(ReasonKind.WARMING)], PARTLY),
        ([unknown(ReasonKind.UNREADABLE), unknown(ReasonKind.IDLE, ReasonKind.LEARNING)], PARTLY),
        ([unknown(ReasonKind.STALE), unknown(ReasonKind.NOT_CONFIGURED, ReasonKind.IDLE)], PARTLY),
        ([unknown(ReasonKind.UNREADABLE), unknown(ReasonKind.IDLE, ReasonKind.STALE)], BLIND),
    ],
)
def test_what_is_seen(verdicts: list[RuleVerdict], state: WatchState) -> None:
    assert watch_state(verdicts) is state


def test_an_idle_leaf_does_not_hide_an_unreadable_one() -> None:
    assert watch_state([unknown(ReasonKind.IDLE, ReasonKind.UNREADABLE)]) is BLIND


def test_words_decide_nothing() -> None:
    assert watch_state([unknown(ReasonKind.UNREADABLE, sentence="idle: no request for warm-7b")]) is BLIND
    assert watch_state([unknown(ReasonKind.IDLE, sentence="the relay is silent")]) is IDLE


def test_only_rules_that_watch_the_service_count() -> None:
    dark = unknown(ReasonKind.UNREADABLE)
    assert watch_state([dark, known(severity=Severity.WARN)]) is BLIND
    assert watch_state([dark, known(cure=Cure.CANARY_NOW)]) is BLIND
    assert watch_state([dark, known(severity=Severity.WARN, cure=Cure.WARM_RESTART)]) is PARTLY
    assert watch_state([known(), unknown(ReasonKind.UNREADABLE, reading="gpu_xid.fatal")]) is SEEING


def test_people_hear_of_the_loudest() -> None:
    dark = unknown(ReasonKind.UNREADABLE)
    assert loudest_of([known(), unknown(ReasonKind.NOT_CONFIGURED), unknown(ReasonKind.STALE), dark]) is dark


@given(st.lists(st.sets(st.sampled_from(ReasonKind)), min_size=1, max_size=4))
def test_blind_is_never_said_of_silent_reasons_nor_withheld_from_loud_ones(kinds: list[set[ReasonKind]]) -> None:
    state = watch_state([unknown(*some) for some in kinds])
    assert state is not SEEING
    if all(some and not some & LOUD for some in kinds):
        assert state is IDLE
    if all(some & LOUD or not some for some in kinds):
        assert state is BLIND


@pytest.mark.parametrize(
    ("verdict", "unreadable"),
    [
        (Verdict.UNKNOWN, True),
        (Verdict.OK, False),
    ],
)
def test_traffic_is_unreadable_when_a_rule_is_unknown_for_the_relay(verdict: Verdict, unreadable: bool) -> None:
    silent = Reason(ReasonKind.UNREADABLE, "silent", "relay")
    rule = msgspec.structs.replace(unknown(), verdict=verdict, reasons=(silent,))
    assert traffic_unreadable([known(), rule]) is unreadable


def test_another_part_and_another_kind_leave_traffic_readable() -> None:
    for kind, part in ((ReasonKind.UNREADABLE, "canary"), (ReasonKind.IDLE, "relay"), (ReasonKind.TOO_FEW, "relay")):
        assert not traffic_unreadable([msgspec.structs.replace(unknown(), reasons=(Reason(kind, "why", part),))])
