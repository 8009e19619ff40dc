"""Rules over readings → verdicts. Pure: the same readings at the same instants give the same verdicts, always.

**A comparison** is TRUE when the whole confidence band lies beyond the limit and FALSE when it lies inside. A band that
straddles the limit keeps the comparison's previous truth; with none to keep it is FALSE if the value lies inside, else
UNKNOWN: half a reason is no reason to wake anybody. Memory older than 2 × ``over`` is forgotten. An UNKNOWN reading is
UNKNOWN, unless what is known to be its least or its most decides. Expressions are Kleene's.

**for:** counts the time between evaluations that both said BREACH (of one gap at most ``over``: more the windows did
not see). UNKNOWN stops that clock, and after 2 × ``over`` of it the run is forgotten; OK forgets it at once. Only a
BREACH fires.

**unless:** TRUE holds the action and says why; UNKNOWN holds it too. Neither silences the verdict.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from watchtower.rules.expressions import And, Comparison, Condition, Expression, Not, Or, leaves
from watchtower.vocabulary.actions import Cure
from watchtower.vocabulary.quantities import human, seconds
from watchtower.vocabulary.readings import (
    Explanation,
    Reading,
    RuleVerdict,
    Severity,
    Truth,
    Verdict,
    kleene_and,
    kleene_not,
    kleene_or,
)
from watchtower.vocabulary.reasons import Reason, ReasonKind
from watchtower.vocabulary.signals import Signal

ReadReading = Callable[[Signal, float], Reading]
"""(signal, window in seconds) → the reading now."""
AskCondition = Callable[[str], Explanation]
"""Name of a condition → what it answers now."""


NO_REASON: Final = Reason(ReasonKind.UNREADABLE, "no reason given")
NO_NUMBER: Final = Reason(ReasonKind.UNREADABLE, "the reading is not a number")


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    when: Expression
    over: float = 60.0
    """Window, seconds."""
    hold_for: float = 0.0
    """``for:``, seconds."""
    unless: Expression | None = None
    severity: Severity = Severity.WARN
    cure: Cure = Cure.NOTHING
    summary: str = ""
    """With {name}, {value}, {limit}, {over}, {because}."""

    @property
    def acts(self) -> bool:
        """Asks for something to be done to the engine."""
        return self.cure.acts


class Remembered(msgspec.Struct, frozen=True):
    """What a comparison last said, and when it last could say it."""

    truth: Truth
    at: float


class RuleState(msgspec.Struct, frozen=True, kw_only=True):
    """Memory of one rule between evaluations."""

    evaluated_at: float | None = None
    verdict: Verdict = Verdict.OK
    since: float | None = None
    """Start of the present run of BREACH; kept while UNKNOWN pauses it."""
    held_for: float = 0.0
    """Seconds of BREACH counted towards ``for:``."""
    unknown_since: float | None = None
    memory: dict[str, Remembered] = {}


RuleStates = Mapping[str, RuleState]


class _Leaf(msgspec.Struct, frozen=True):
    truth: Truth
    sentence: str
    reading: Reading | None = None
    reason: Reason | None = None
    """Why it is UNKNOWN; None where it is not."""


_Leaves = dict[Comparison | Condition, _Leaf]


class Ruleset(msgspec.Struct, frozen=True):
    """All rules of one target."""

    rules: tuple[Rule, ...] = ()

    def initial(self) -> RuleStates:
        return {}

    def signals(self) -> tuple[Signal, ...]:
        """Everything that the rules read, each once, in order."""
        every = (leaf for rule in self.rules for when in (rule.when, rule.unless) if when for leaf in leaves(when))
        return tuple(dict.fromkeys(leaf.signal for leaf in every if isinstance(leaf, Comparison)))

    def windows(self) -> dict[str, float]:
        """Reading → the window, in seconds, of the first rule that compares it of all traffic."""
        found: dict[str, float] = {}
        for rule in self.rules:
            for leaf in leaves(rule.when):
                if isinstance(leaf, Comparison) and not leaf.signal.labelled:
                    found.setdefault(leaf.reading, rule.over)
        return found

    def slowest(self) -> Rule | None:
        """The acting rule that looks back furthest (``over`` + ``for``); None when no rule acts."""
        return max((rule for rule in self.rules if rule.acts), key=lambda rule: rule.over + rule.hold_for, default=None)

    def evaluate(
        self, read: ReadReading, condition: AskCondition, states: RuleStates, now: float
    ) -> tuple[RuleStates, tuple[RuleVerdict, ...]]:
        """One verdict for every rule, in order, and the memory for the next call. ``now``: CLOCK_BOOTTIME seconds."""
        after: dict[str, RuleState] = {}
        verdicts = []
        for rule in self.rules:
            after[rule.name], verdict = _evaluate(rule, read, condition, states.get(rule.name, RuleState()), now)
            verdicts.append(verdict)
        return after, tuple(verdicts)


_VERDICTS = {Truth.TRUE: Verdict.BREACH, Truth.FALSE: Verdict.OK, Truth.UNKNOWN: Verdict.UNKNOWN}


def _evaluate(
    rule: Rule, read: ReadReading, condition: AskCondition, state: RuleState, now: float
) -> tuple[RuleState, RuleVerdict]:
    memory = {text: kept for text, kept in state.memory.items() if now - kept.at <= 2 * rule.over}
    seen: _Leaves = {}
    for leaf in (*leaves(rule.when), *(leaves(rule.unless) if rule.unless else ())):
        if isinstance(leaf, Condition):
            answer = condition(leaf.name)
            seen[leaf] = _Leaf(answer.truth, answer.sentence, reason=answer.reason)
            continue
        seen[leaf] = _compare(leaf, read(leaf.signal, rule.over), memory.get(str(leaf)))
        if seen[leaf].truth is not Truth.UNKNOWN:
            memory[str(leaf)] = Remembered(seen[leaf].truth, now)

    verdict = _VERDICTS[_truth(rule.when, seen)]
    state = _advance(rule, state, verdict, memory, now)
    held, held_unknown = _held(rule, seen) if verdict is Verdict.BREACH else ("", False)
    return state, _said(rule, state, seen, held, held_unknown)


def _compare(comparison: Comparison, reading: Reading, before: Remembered | None) -> _Leaf:
    value = reading.value
    band = (reading.low, reading.high)
    if value is None:
        return _bounded(comparison, reading) or _unknown(comparison, reading, reading.reason or NO_REASON)
    if not math.isfinite(value) or any(edge is not None and math.isnan(edge) for edge in band):
        return _unknown(comparison, reading, NO_NUMBER)
    low = value if reading.low is None else min(reading.low, value)
    high = value if reading.high is None else max(reading.high, value)
    limit, unit, suffix = comparison.limit.value, comparison.unit, comparison.limit.suffix
    beyond = [_beyond(comparison, edge) for edge in (low, value, high)]
    shown, bound = human(value, unit, suffix, beside=limit), human(limit, unit, suffix)
    if all(beyond):
        return _Leaf(Truth.TRUE, f"{comparison.signal} is {shown}, beyond {bound}", reading)
    if not any(beyond):
        return _Leaf(Truth.FALSE, f"{comparison.signal} is {shown}, within {bound}", reading)
    about = f"{human(low, unit, suffix)} to {human(high, unit, suffix)}"
    straddles = f"{comparison.signal} is {shown} ({about}), not clear of {bound}"
    if before is not None:
        return _Leaf(before.truth, straddles, reading)
    if not beyond[1]:
        return _Leaf(Truth.FALSE, straddles, reading)
    return _Leaf(Truth.UNKNOWN, straddles, reading, Reason(ReasonKind.UNDECIDED, straddles))


def _bounded(comparison: Comparison, reading: Reading) -> _Leaf | None:
    """What is proven by a least or a most although the value is not known; None when nothing is."""
    limit, unit, suffix = comparison.limit.value, comparison.unit, comparison.limit.suffix
    upward = comparison.operator.upward
    for edge, which, beyond in ((reading.low, "least", upward), (reading.high, "most", not upward)):
        if edge is None or not math.isfinite(edge) or _beyond(comparison, edge) is not beyond:
            continue
        shown, bound = human(edge, unit, suffix, beside=limit), human(limit, unit, suffix)
        where = "beyond" if beyond else "within"
        truth = Truth.TRUE if beyond else Truth.FALSE
        return _Leaf(truth, f"{comparison.signal} is at {which} {shown}, {where} {bound}", reading)
    return None


def _unknown(comparison: Comparison, reading: Reading, reason: Reason) -> _Leaf:
    return _Leaf(Truth.UNKNOWN, f"{comparison.signal} is unknown: {reason.text}", reading, reason)


def _beyond(comparison: Comparison, value: float) -> bool:
    limit = comparison.limit.value
    match comparison.operator.value:
        case ">":
            return value > limit
        case ">=":
            return value >= limit
        case "<":
            return value < limit
        case _:
            return value <= limit


def _truth(expression: Expression, seen: _Leaves) -> Truth:
    match expression:
        case And(left, right):
            return kleene_and(_truth(left, seen), _truth(right, seen))
        case Or(left, right):
            return kleene_or(_truth(left, seen), _truth(right, seen))
        case Not(inner):
            return kleene_not(_truth(inner, seen))
        case _:
            return seen[expression].truth


def _decisive(expression: Expression, seen: _Leaves) -> Comparison | Condition:
    """The leaf that made the expression what it is: the first side that alone has its truth."""
    match expression:
        case And(left, right) | Or(left, right):
            same = _truth(left, seen) is _truth(expression, seen)
            return _decisive(left if same else right, seen)
        case Not(inner):
            return _decisive(inner, seen)
        case _:
            return expression


def _advance(rule: Rule, state: RuleState, verdict: Verdict, memory: dict[str, Remembered], now: float) -> RuleState:
    gap = 0.0 if state.evaluated_at is None else max(0.0, now - state.evaluated_at)
    since, held_for, unknown_since = state.since, state.held_for, state.unknown_since
    if unknown_since is not None and now - unknown_since > 2 * rule.over:
        since, held_for = None, 0.0
    match verdict:
        case Verdict.BREACH:
            if since is None:
                since = now
            elif state.verdict is Verdict.BREACH:
                held_for += min(gap, rule.over)
            unknown_since = None
        case Verdict.OK:
            since, held_for, unknown_since = None, 0.0, None
        case Verdict.UNKNOWN:
            unknown_since = now if unknown_since is None else unknown_since
    return RuleState(
        evaluated_at=now,
        verdict=verdict,
        since=since,
        held_for=held_for,
        unknown_since=unknown_since,
        memory=memory,
    )


def _held(rule: Rule, seen: _Leaves) -> tuple[str, bool]:
    """(why the action waits, whether that is for want of knowledge)."""
    if rule.unless is None:
        return "", False
    truth = _truth(rule.unless, seen)
    if truth is Truth.FALSE:
        return "", False
    leaf = _decisive(rule.unless, seen)
    name = leaf.name if isinstance(leaf, Condition) else "unless"
    return f"{name}: {seen[leaf].sentence or 'no reason given'}", truth is Truth.UNKNOWN


def _said(rule: Rule, state: RuleState, seen: _Leaves, held: str, held_unknown: bool) -> RuleVerdict:
    decisive = _decisive(rule.when, seen)
    assert isinstance(decisive, Comparison)  # the language allows conditions only in unless:
    leaf = seen[decisive]
    known = leaf.reading is not None and leaf.reading.value is not None and math.isfinite(leaf.reading.value)
    value = leaf.reading.value if leaf.reading is not None and known else None
    breach = state.verdict is Verdict.BREACH
    sentence = leaf.sentence
    # a band that has come to straddle the limit keeps the breach; "99 ms over 130 ms" would be a lie: the band speaks
    if breach and value is not None and rule.summary and _beyond(decisive, value):
        sentence = summarize(rule, decisive, value, leaf.reading.remark if leaf.reading is not None else "")
    if leaf.reading is not None and leaf.reading.detail and value is not None:
        sentence = f"{sentence} · {leaf.reading.detail}"
    readings = {item.signal: seen[item].reading for item in leaves(rule.when) if isinstance(item, Comparison)}
    return RuleVerdict(
        rule=rule.name,
        verdict=state.verdict,
        firing=breach and state.held_for >= rule.hold_for,
        since=state.since,
        severity=rule.severity,
        cure=rule.cure,
        held=held,
        held_unknown=held_unknown,
        reasons=tuple(dict.fromkeys(leaf.reason for leaf in seen.values() if leaf.reason is not None)),
        sentence=sentence,
        value=value,
        limit=decisive.limit.value,
        unit=decisive.unit.value,
        readings=tuple(reading for reading in readings.values() if reading is not None),
    )


PLACEHOLDERS = ("name", "value", "limit", "over", "because")


def summarize(rule: Rule, decisive: Comparison, value: float, because: str = "") -> str:
    """The rule's summary in human units: ``p95 per-token latency 412 ms over 130 ms``. ``because``: what the reading
    remarks on its value."""
    unit, suffix, limit = decisive.unit, decisive.limit.suffix, decisive.limit.value
    filled = {
        "name": rule.name,
        "value": human(value, unit, suffix, beside=limit),
        "limit": human(limit, unit, suffix),
        "over": seconds(rule.over),
        "because": because or "no reason given",
    }
    return rule.summary.format_map(filled)
