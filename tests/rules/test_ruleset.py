from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchtower.rules.grammar import parse
from watchtower.rules.ruleset import Rule, Ruleset, RuleState, RuleStates
from watchtower.vocabulary.actions import Cure
from watchtower.vocabulary.readings import Explanation, Reading, RuleVerdict, Severity, Truth, Verdict
from watchtower.vocabulary.reasons import Reason, ReasonKind
from watchtower.vocabulary.signals import Signal

P95 = "inter_token_latency_seconds.p95"
TOO_FEW = Reason(ReasonKind.TOO_FEW, "too few samples")
NO_CONDITION = Explanation(Truth.FALSE, None, "nothing")
Values = dict[str, float | tuple[float, float, float] | None]


def rule(when: str = f"{P95} > 130ms", unless: str = "", hold_for: float = 0.0, over: float = 60.0) -> Rule:
    def place(offset: int) -> str:
        return f"rule:1:{offset}"

    return Rule(
        name="slow",
        when=parse(when, place, "when"),
        unless=parse(unless, place, "unless", conditions=True) if unless else None,
        over=over,
        hold_for=hold_for,
        severity=Severity.PAGE,
        cure=Cure.WARM_RESTART,
        summary="p95 {value} over {limit} in {over}",
    )


class Bench:
    """One rule, readings set by hand, one evaluation per ``step``."""

    def __init__(self, of: Rule) -> None:
        self.rules = Ruleset((of,))
        self.states: RuleStates = self.rules.initial()
        self.now = 1000.0
        self.condition = Explanation(Truth.FALSE, None, "load is low")
        self.reasons: dict[str, Reason] = {}

    def step(self, values: Values | float | None, seconds: float = 1.0) -> RuleVerdict:
        given = values if isinstance(values, dict) else {P95: values}

        def read(signal: Signal, over: float) -> Reading:
            name, value = signal.name, given.get(str(signal))
            if isinstance(value, tuple):
                return Reading(name=name, over=over, at=self.now, value=value[1], low=value[0], high=value[2])
            reason = None if value is not None else self.reasons.get(name, TOO_FEW)
            return Reading(name=name, over=over, at=self.now, value=value, reason=reason)

        self.now += seconds
        self.states, verdicts = self.rules.evaluate(read, lambda name: self.condition, self.states, self.now)
        return verdicts[0]

    def steps(self, values: Sequence[float | None]) -> RuleVerdict:
        return [self.step(value) for value in values][-1]


# ── one comparison ──────────────────────────────────────────────────────────────────────────────


def test_beyond_the_limit_is_a_breach_in_human_units() -> None:
    said = Bench(rule()).step(0.412)
    assert said.verdict is Verdict.BREACH
    assert said.sentence == "p95 412 ms over 130 ms in 60 s"
    assert (said.value, said.limit, said.unit) == (0.412, 0.13, "s")


def test_within_the_limit_is_ok_and_says_so() -> None:
    said = Bench(rule()).step(0.04)
    assert said.verdict is Verdict.OK
    assert said.sentence == f"{P95} is 40 ms, within 130 ms"
    assert not said.firing


def test_the_limit_itself_is_no_breach_of_above_and_one_of_at_least() -> None:
    assert Bench(rule()).step(0.13).verdict is Verdict.OK
    assert Bench(rule(f"{P95} >= 130ms")).step(0.13).verdict is Verdict.BREACH


def test_an_unknown_reading_is_unknown_and_gives_its_reason() -> None:
    said = Bench(rule()).step(None)
    assert said.verdict is Verdict.UNKNOWN
    assert said.sentence == f"{P95} is unknown: too few samples"
    assert said.value is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, (0.1, math.nan, 0.2), (math.nan, 0.2, 0.3)])
def test_what_is_not_a_number_is_unknown_never_a_breach(value: float | tuple[float, float, float]) -> None:
    said = Bench(rule()).step({P95: value})
    assert said.verdict is Verdict.UNKNOWN
    assert said.value is None or math.isfinite(said.value)
    assert "nan" not in said.sentence


def test_a_band_beyond_the_limit_breaches_and_one_inside_does_not() -> None:
    assert Bench(rule()).step({P95: (0.14, 0.15, 0.16)}).verdict is Verdict.BREACH
    assert Bench(rule()).step({P95: (0.10, 0.11, 0.12)}).verdict is Verdict.OK


@pytest.mark.parametrize(
    ("when", "least", "most", "verdict"),
    [
        (f"{P95} > 130ms", None, 0.1, Verdict.OK),
        (f"{P95} > 130ms", None, 0.13, Verdict.OK),
        (f"{P95} > 130ms", None, 0.2, Verdict.UNKNOWN),
        (f"{P95} > 130ms", 0.2, None, Verdict.BREACH),
        (f"{P95} > 130ms", 0.1, None, Verdict.UNKNOWN),
        (f"{P95} > 130ms", 0.1, math.inf, Verdict.UNKNOWN),
        (f"{P95} < 130ms", None, 0.1, Verdict.BREACH),
        (f"{P95} < 130ms", 0.2, None, Verdict.OK),
        (f"{P95} < 130ms", 0.1, 0.2, Verdict.UNKNOWN),
    ],
)
def test_a_value_that_is_not_known_may_be_bounded_and_the_bound_decide(
    when: str, least: float | None, most: float | None, verdict: Verdict
) -> None:
    bounded = Reading(name=P95, over=60, at=0, value=None, low=least, high=most, reason=TOO_FEW)
    _, (said,) = Ruleset((rule(when),)).evaluate(lambda signal, over: bounded, lambda name: NO_CONDITION, {}, 0.0)
    assert said.verdict is verdict
    assert said.value is None
    assert said.reasons == (() if verdict is not Verdict.UNKNOWN else (TOO_FEW,))
    if verdict is Verdict.OK and when.endswith("> 130ms") and most == 0.1:
        assert said.sentence == f"{P95} is at most 100 ms, within 130 ms"


def test_a_straddling_band_keeps_the_verdict_before_it() -> None:
    bench = Bench(rule())
    bench.step(0.2)
    assert bench.step({P95: (0.1, 0.12, 0.2)}).verdict is Verdict.BREACH
    bench.step(0.05)
    assert bench.step({P95: (0.1, 0.15, 0.2)}).verdict is Verdict.OK


def test_a_straddling_band_with_nothing_before_it_never_breaches() -> None:
    assert Bench(rule()).step({P95: (0.1, 0.12, 0.2)}).verdict is Verdict.OK
    assert Bench(rule()).step({P95: (0.1, 0.15, 0.2)}).verdict is Verdict.UNKNOWN


def test_a_straddling_band_does_not_lean_on_what_is_long_forgotten() -> None:
    bench = Bench(rule())
    bench.step(0.2)
    bench.step(None, seconds=121)
    assert bench.step({P95: (0.1, 0.15, 0.2)}).verdict is Verdict.UNKNOWN


# ── logic ───────────────────────────────────────────────────────────────────────────────────────

BOTH = "token_progress.stalled > 20s and canary.unanswered > 5s"


@pytest.mark.parametrize(
    ("when", "stalled", "unanswered", "expected"),
    [
        (BOTH, 30.0, 10.0, Verdict.BREACH),
        (BOTH, 30.0, 0.0, Verdict.OK),
        (BOTH, 30.0, None, Verdict.UNKNOWN),
        (BOTH, 0.0, None, Verdict.OK),
        (BOTH.replace("and", "or"), 30.0, None, Verdict.BREACH),
        (BOTH.replace("and", "or"), 0.0, None, Verdict.UNKNOWN),
        (f"not ({BOTH})", None, 0.0, Verdict.BREACH),
        (f"not ({BOTH})", 30.0, None, Verdict.UNKNOWN),
    ],
)
def test_unknown_follows_kleene(when: str, stalled: float | None, unanswered: float | None, expected: Verdict) -> None:
    said = Bench(rule(when)).step({"token_progress.stalled": stalled, "canary.unanswered": unanswered})
    assert said.verdict is expected


def test_the_sentence_is_about_the_comparison_that_decided() -> None:
    bench = Bench(rule("token_progress.stalled > 20s or canary.unanswered > 5s"))
    said = bench.step({"token_progress.stalled": 3.0, "canary.unanswered": 7.0})
    assert (said.value, said.limit) == (7.0, 5.0)
    assert [reading.name for reading in said.readings] == ["token_progress.stalled", "canary.unanswered"]


# ── for: ────────────────────────────────────────────────────────────────────────────────────────


def test_a_breach_fires_when_it_has_held_for_its_time() -> None:
    bench = Bench(rule(hold_for=10))
    first = bench.step(0.2)
    assert (first.verdict, first.firing, first.since) == (Verdict.BREACH, False, bench.now)
    assert not bench.steps([0.2] * 9).firing
    fired = bench.step(0.2)
    assert fired.firing
    assert fired.since == first.since


def test_without_a_time_it_fires_at_once() -> None:
    assert Bench(rule()).step(0.2).firing


def test_ok_starts_the_time_anew() -> None:
    bench = Bench(rule(hold_for=10))
    bench.steps([0.2] * 10)
    assert bench.step(0.05).since is None
    assert not bench.steps([0.2] * 10).firing
    assert bench.step(0.2).firing


def test_unknown_stops_the_time_and_never_fires() -> None:
    bench = Bench(rule(hold_for=10))
    start = bench.step(0.2).since
    bench.steps([0.2] * 5)
    assert not bench.steps([None] * 60).firing
    resumed = bench.step(0.2)
    assert resumed.since == start
    assert not bench.steps([0.2] * 4).firing
    assert bench.step(0.2).firing


def test_a_firing_rule_that_turns_unknown_stops_firing_and_goes_on_where_it_was() -> None:
    bench = Bench(rule(hold_for=5))
    assert bench.steps([0.2] * 6).firing
    assert not bench.step(None).firing
    assert bench.step(0.2).firing


def test_unknown_for_twice_the_window_forgets_the_run() -> None:
    bench = Bench(rule(hold_for=5, over=10))
    assert bench.steps([0.2] * 6).firing
    bench.steps([None] * 22)
    again = bench.step(0.2)
    assert not again.firing
    assert again.since == bench.now


def test_a_gap_counts_no_more_than_the_window_saw() -> None:
    bench = Bench(rule(hold_for=100, over=10))
    bench.step(0.2)
    assert not bench.step(0.2, seconds=3600).firing


def test_a_clock_that_stands_still_or_steps_back_fires_nothing() -> None:
    bench = Bench(rule(hold_for=5))
    bench.step(0.2)
    assert not bench.step(0.2, seconds=0).firing
    assert not bench.step(0.2, seconds=-100).firing


# ── unless: ─────────────────────────────────────────────────────────────────────────────────────


def test_an_explanation_that_holds_holds_the_action_not_the_verdict() -> None:
    bench = Bench(rule(unless="load_explains_latency"))
    bench.condition = Explanation(Truth.TRUE, None, "300 ms is normal at 64 open exchanges")
    said = bench.step(0.3)
    assert (said.verdict, said.firing, said.held_unknown) == (Verdict.BREACH, True, False)
    assert said.held == "load_explains_latency: 300 ms is normal at 64 open exchanges"


def test_an_unknown_explanation_holds_the_action_too_and_says_that_it_is_unknown() -> None:
    bench = Bench(rule(unless="load_explains_latency"))
    bench.condition = Explanation.unknown(Reason(ReasonKind.LEARNING, "no baseline yet"))
    said = bench.step(0.3)
    assert said.firing
    assert said.held_unknown
    assert "no baseline yet" in said.held


def test_an_explanation_that_fails_holds_nothing() -> None:
    assert Bench(rule(unless="load_explains_latency")).step(0.3).held == ""


def test_a_comparison_can_explain_as_well() -> None:
    bench = Bench(rule(unless="exchanges.open < 2"))
    assert bench.step({P95: 0.3, "exchanges.open": 1.0}).held == "unless: exchanges.open is 1, beyond 2"
    assert bench.step({P95: 0.3, "exchanges.open": 9.0}).held == ""


def test_nothing_is_held_while_nothing_breaches() -> None:
    bench = Bench(rule(unless="load_explains_latency"))
    bench.condition = Explanation(Truth.TRUE, None, "because")
    assert bench.step(0.05).held == ""


# ── every reason ────────────────────────────────────────────────────────────────────────────────


def test_a_verdict_carries_the_reasons_of_all_its_unknown_leaves() -> None:
    bench = Bench(rule("token_progress.stalled > 20s and canary.unanswered > 5s", unless="load_explains_latency"))
    idle, refused = Reason(ReasonKind.IDLE, "idle: nothing is open"), Reason(ReasonKind.UNREADABLE, "refused", "canary")
    learning = Reason(ReasonKind.LEARNING, "no baseline yet")
    bench.reasons = {"token_progress.stalled": idle, "canary.unanswered": refused}
    bench.condition = Explanation.unknown(learning)
    said = bench.step({})
    assert said.verdict is Verdict.UNKNOWN
    assert "idle" in said.sentence
    assert said.reasons == (idle, refused, learning)


def test_a_band_that_straddles_the_limit_is_undecided() -> None:
    said = Bench(rule()).step({P95: (0.1, 0.14, 0.2)})
    assert said.verdict is Verdict.UNKNOWN
    assert [reason.kind for reason in said.reasons] == [ReasonKind.UNDECIDED]


def test_what_is_no_number_cannot_be_read() -> None:
    said = Bench(rule()).step(math.nan)
    assert [reason.kind for reason in said.reasons] == [ReasonKind.UNREADABLE]


def test_a_known_verdict_has_no_reasons_unless_a_leaf_is_unknown() -> None:
    assert Bench(rule()).step(0.2).reasons == ()
    either = Bench(rule(f"{P95} > 130ms or canary.unanswered > 5s"))
    said = either.step({P95: 0.2})
    assert said.verdict is Verdict.BREACH
    assert said.reasons == (TOO_FEW,)


# ── whatever comes ──────────────────────────────────────────────────────────────────────────────

SERIES = st.lists(st.one_of(st.none(), st.sampled_from([0.05, 0.13, 0.2]), st.floats()), min_size=1, max_size=60)


@given(SERIES, st.floats(min_value=-1e6, max_value=1e6))
def test_shifting_all_of_time_changes_nothing_but_since(series: list[float | None], shift: float) -> None:
    here, there = Bench(rule(hold_for=5, over=4)), Bench(rule(hold_for=5, over=4))
    there.now += round(shift)
    for value in series:
        unmoved, moved = here.step(value), there.step(value)
        assert (unmoved.verdict, unmoved.firing, unmoved.sentence) == (moved.verdict, moved.firing, moved.sentence)


@given(SERIES, st.integers(min_value=0, max_value=60))
def test_one_more_ok_never_makes_a_breach_fire_sooner(series: list[float | None], position: int) -> None:
    plain, relieved = Bench(rule(hold_for=5)), Bench(rule(hold_for=5))
    without = [plain.step(value).firing for value in series]
    eased = [0.05 if index == position else value for index, value in enumerate(series)]
    with_ok = [relieved.step(value).firing for value in eased]
    assert all(before or not after for before, after in zip(without, with_ok, strict=True))


@given(SERIES)
def test_verdicts_are_finite_known_and_never_fire_without_breach(series: list[float | None]) -> None:
    bench = Bench(rule(hold_for=3, over=2))
    for value in series:
        said = bench.step(value)
        assert said.value is None or math.isfinite(said.value)
        assert said.verdict is Verdict.BREACH or not said.firing
        assert said.sentence
        msgspec.json.encode(said)


def test_memory_survives_being_written_and_read() -> None:
    bench = Bench(rule(hold_for=10))
    bench.steps([0.2] * 8)
    bench.states = msgspec.json.decode(msgspec.json.encode(dict(bench.states)), type=dict[str, RuleState])
    assert bench.steps([0.2] * 3).firing


def test_the_slowest_acting_rule_is_found_and_telling_rules_do_not_count() -> None:
    quick, slow = rule(over=10), msgspec.structs.replace(rule(over=60, hold_for=30), name="slower")
    telling = msgspec.structs.replace(rule(over=900), name="telling", cure=Cure.NOTHING)
    assert Ruleset((quick, slow, telling)).slowest() == slow
    assert Ruleset((telling,)).slowest() is None


def test_a_breach_that_only_lasts_because_its_band_straddles_never_says_99_ms_over_130_ms() -> None:
    rules = Ruleset((msgspec.structs.replace(rule(), summary="p95 {value} over {limit}"),))

    def say(value: float, low: float, high: float, states: RuleStates, now: float) -> tuple[RuleStates, RuleVerdict]:
        reading = Reading(name=P95, over=60, at=now, value=value, low=low, high=high, samples=50)
        states, (verdict,) = rules.evaluate(
            lambda name, over: reading, lambda name: Explanation.unknown(TOO_FEW), states, now
        )
        return states, verdict

    states, clear = say(0.2, 0.18, 0.22, rules.initial(), 1000)
    assert clear.sentence == "p95 200 ms over 130 ms"
    _, straddling = say(0.099, 0.08, 0.15, states, 1001)
    assert straddling.verdict is Verdict.BREACH
    assert "99 ms" in straddling.sentence and "over 130 ms" not in straddling.sentence
