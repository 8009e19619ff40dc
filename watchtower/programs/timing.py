"""How fast Watchtower can be with this configuration: arithmetic over windows, waits and limits, nothing measured.

*Fastest*: the fault is blatant and begins just before an evaluation; nothing is open, so nothing is drained.
*Typical*: a rule needs its whole window to lie after the fault, the drain takes half its allowance, and traffic ends
the warm-up by its requests, so that stabilization decides (without traffic: up to ``warmup_seconds``). The engine's own
start is in neither.
"""

from __future__ import annotations

from typing import NamedTuple

from watchtower.rules.expressions import And, Comparison, Condition, Expression, Not, Or
from watchtower.rules.ruleset import Rule, Ruleset
from watchtower.settings import Settings
from watchtower.vocabulary.actions import Cure

_AGES = ("token_progress.stalled", "canary.unanswered")
"""Readings that count seconds since something: they pass their limit exactly that long after the fault."""


class Timing(NamedTuple):
    """Seconds after the fault begins, for one rule."""

    rule: str
    acts: bool
    detect_fastest: float
    detect_typical: float
    act_fastest: float
    act_typical: float
    verify_fastest: float
    verify_typical: float


def timings(settings: Settings, rules: Ruleset) -> list[Timing]:
    """One row per rule that tells people or acts."""
    hint = min((_detect(settings, rules, rule)[0] for rule in rules.rules if _hints(rule)), default=None)
    rows = []
    for rule in rules.rules:
        if _hints(rule):
            continue
        fastest, typical = _detect(settings, rules, rule, hint)
        limits, drain = settings.remediation, settings.relay.hold.drain_seconds
        confirm = settings.tick_seconds * (limits.dwell_evaluations - 1)
        wait = 0.0 if _is_hang(rule.when) else drain / 2
        act = (fastest + confirm, typical + confirm + wait)
        verify = max(limits.stabilization_seconds, rule.over) + settings.tick_seconds
        rows.append(
            Timing(
                rule=rule.name,
                acts=rule.acts,
                detect_fastest=fastest,
                detect_typical=typical,
                act_fastest=act[0],
                act_typical=act[1],
                verify_fastest=act[0] + limits.stabilization_seconds,
                verify_typical=act[1] + verify,
            )
        )
    return rows


def _hints(rule: Rule) -> bool:
    return rule.cure is Cure.CANARY_NOW


def _detect(settings: Settings, rules: Ruleset, rule: Rule, hint: float | None = None) -> tuple[float, float]:
    """(fastest, typical) until ``rule`` fires."""
    fastest, typical = _breach(rule.when, settings, rule, hint)
    return fastest + settings.tick_seconds + rule.hold_for, typical + settings.tick_seconds + rule.hold_for


def _breach(expression: Expression, settings: Settings, rule: Rule, hint: float | None) -> tuple[float, float]:
    """(fastest, typical) until the expression turns TRUE."""
    match expression:
        case And(left, right):
            first, second = _breach(left, settings, rule, hint), _breach(right, settings, rule, hint)
            return max(first[0], second[0]), max(first[1], second[1])
        case Or(left, right):
            first, second = _breach(left, settings, rule, hint), _breach(right, settings, rule, hint)
            return min(first[0], second[0]), min(first[1], second[1])
        case Not(inner):
            return _breach(inner, settings, rule, hint)
        case Condition():
            return 0.0, 0.0
        case Comparison():
            if expression.reading == "canary.unanswered":
                regular = settings.canary.every_seconds / 2
                start = regular if hint is None else min(regular, hint)
                return expression.limit.value, start + expression.limit.value
            if expression.reading in _AGES:
                return expression.limit.value, expression.limit.value
            return 0.0, rule.over


def _is_hang(expression: Expression) -> bool:
    """No drain then: nothing that is open would end."""
    match expression:
        case And(left, right) | Or(left, right):
            return _is_hang(left) or _is_hang(right)
        case Not(inner):
            return _is_hang(inner)
        case Comparison(reading):
            return reading in _AGES
        case Condition():
            return False
