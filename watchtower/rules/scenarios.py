"""Tests for rules: ``x.test.yaml`` beside ``x.yaml``, run through the real evaluation on a clock moved by hand.

In the spirit of promtool's rule tests. A scenario gives one series of values per reading and condition, one value per
``every``, and says what each rule must answer at which second. A reading without a series, or past its end, is UNKNOWN,
as it would be in life.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Final, Literal, NamedTuple, TypeVar

import msgspec
from pydantic import Field

from watchtower.configuration import Tree, validate
from watchtower.configuration.tree import Route, dotted, place_of
from watchtower.knobs import Group
from watchtower.rules.ruleset import AskCondition, ReadReading, Ruleset
from watchtower.vocabulary.errors import BadInput, Problem
from watchtower.vocabulary.quantities import EXAMPLES, duration, misfit, quantity, seconds
from watchtower.vocabulary.readings import CONDITIONS, READINGS, Explanation, Reading, RuleVerdict, Truth, Verdict
from watchtower.vocabulary.reasons import Reason, ReasonKind
from watchtower.vocabulary.signals import Signal

MOST_STEPS = 100_000
"""Evaluations of one scenario: a day at one a second and some more."""
NO_SERIES: Final = Reason(ReasonKind.NOT_CONFIGURED, "no series in this test")
SCRIPTED: Final = Reason(ReasonKind.TOO_FEW, "so the test says, or its series ended")


class Expectation(Group):
    """What one rule must say at one moment."""

    at: str
    """Seconds into the scenario, e.g. ``130s``."""
    rule: str
    verdict: Verdict
    firing: bool | None = None
    """Left out: either."""
    held: bool | None = None
    """Whether ``unless:`` holds the action back."""
    says: str = ""
    """Part of the sentence that people read."""


class Scenario(Group):
    name: str
    every: str = "1s"
    """Time between two values, and between two evaluations."""
    readings: dict[str, str] = Field(default={})
    """Name → values: ``50ms x60 200ms x120``; ``unknown``; ``135ms±10ms`` has a confidence band."""
    conditions: dict[str, str] = Field(default={})
    """Name → ``true``, ``false``, ``unknown``, repeated the same way; without one: unknown."""
    expect: Annotated[tuple[Expectation, ...], Field(min_length=1)]


class ScenarioFile(Group):
    """A ``.test.yaml``."""

    version: Literal[1]
    tests: tuple[Scenario, ...]


class ScriptedValue(msgspec.Struct, frozen=True):
    value: float | None
    """None: UNKNOWN."""
    margin: float = 0.0
    """Half the confidence band."""


class ScenarioOutcome(NamedTuple):
    name: str
    checked: int
    """Expectations looked at."""
    failures: list[Problem]


class Report(NamedTuple):
    outcomes: list[ScenarioOutcome]
    silent: list[str]
    """Rules that no scenario ever saw in BREACH: nobody knows whether they work."""

    @property
    def passed(self) -> bool:
        return not any(outcome.failures for outcome in self.outcomes)


def run_scenarios(ruleset: Ruleset, tree: Tree) -> Report:
    """Run every scenario of one file. Raises BadInput when the file itself is wrong."""
    file, problems = validate(ScenarioFile, tree)
    played = []
    for index, scenario in enumerate(file.tests if file else ()):
        reader = _ScenarioReader(tree, ("tests", index), ruleset)
        played.append((scenario, index, reader.play(scenario)))
        problems += reader.problems
    if problems:
        raise BadInput(problems)
    breached: set[str] = set()
    outcomes = [_run(ruleset, tree, index, scenario, play, breached) for scenario, index, play in played]
    return Report(outcomes, [rule.name for rule in ruleset.rules if rule.name not in breached])


class _Play(NamedTuple):
    """One scenario, read."""

    every: float
    readings: dict[str, list[ScriptedValue]]
    conditions: dict[str, list[Truth]]
    moments: list[int]
    """Step of each expectation."""


Value = TypeVar("Value")


class _ScenarioReader:
    """The texts inside a scenario → values; collects problems."""

    def __init__(self, tree: Tree, route: Route, ruleset: Ruleset) -> None:
        self.problems: list[Problem] = []
        self._tree, self._route = tree, route
        self._rules = [rule.name for rule in ruleset.rules]

    def play(self, scenario: Scenario) -> _Play:
        every = self._duration(scenario.every, "every") or 1.0
        readings = {
            name: self._series(values, _sample(name), "readings", name)
            for name, values in scenario.readings.items()
            if self._known(name, READINGS, "readings")
        }
        conditions = {
            name: self._series(values, Truth, "conditions", name)
            for name, values in scenario.conditions.items()
            if self._known(name, CONDITIONS, "conditions")
        }
        moments = []
        for index, expectation in enumerate(scenario.expect):
            step = round(self._duration(expectation.at, "expect", index, "at") / every)
            if step > MOST_STEPS:
                self._problem(f"more than {MOST_STEPS} evaluations", "choose a larger every:", "expect", index, "at")
                step = 0
            moments.append(step)
            self._known(expectation.rule, self._rules, "expect", index, "rule")
        return _Play(every, readings, conditions, moments)

    def _series(self, text: str, read: Callable[[str], Value], *path: str) -> list[Value]:
        """``50ms x60 200ms`` → sixty times the one, once the other."""
        values: list[Value] = []
        for word in text.split():
            repeat = re.fullmatch(r"[x×](\d{1,6})", word)
            try:
                if repeat is None:
                    values.append(read(word))
                elif values and len(values) + int(repeat[1]) <= MOST_STEPS and int(repeat[1]) > 0:
                    values += [values[-1]] * (int(repeat[1]) - 1)
                else:
                    raise ValueError("repeats nothing, or too often")
            except ValueError as problem:
                self._problem(f"'{word[:40]}': {problem}", "write e.g. 50ms x60 unknown x5 200ms x30", *path)
                break
        return values

    def _duration(self, text: str, *path: str | int) -> float:
        try:
            return duration(text)
        except ValueError as problem:
            self._problem(str(problem), "", *path)
            return 0.0

    def _known(self, name: str, known: object, *path: str | int) -> bool:
        assert isinstance(known, dict | list)
        if name in known:
            return True
        where = path if path[-1] == "rule" else (*path, name)
        self._problem(f"unknown: {name[:60]}", f"known: {', '.join(known)}", *where)
        return False

    def _problem(self, what: str, cure: str, *path: str | int) -> None:
        route = (*self._route, *path)
        self.problems.append(Problem(str(place_of(self._tree, route)), dotted(route), what, cure))


def _sample(reading: str) -> Callable[[str], ScriptedValue]:
    unit = READINGS[reading].unit

    def read(word: str) -> ScriptedValue:
        if word == "unknown":
            return ScriptedValue(None)
        middle, _, margin = word.partition("±")
        value, half = quantity(middle), quantity(margin or "0")
        why = misfit(value, unit) or (misfit(half, unit) if margin else "")
        if why:
            raise ValueError(f"{why}; write e.g. {EXAMPLES[unit]}")
        return ScriptedValue(value.value, abs(half.value))

    return read


def _run(
    ruleset: Ruleset, tree: Tree, index: int, scenario: Scenario, play: _Play, breached: set[str]
) -> ScenarioOutcome:
    failures: list[Problem] = []
    wanted: dict[int, list[int]] = {}
    for number, step in enumerate(play.moments):
        wanted.setdefault(step, []).append(number)
    states = ruleset.initial()
    for step in range(max(play.moments) + 1):
        now = step * play.every
        states, verdicts = ruleset.evaluate(_read(play, step, now), _ask(play, step), states, now)
        said = {verdict.rule: verdict for verdict in verdicts}
        breached.update(verdict.rule for verdict in verdicts if verdict.verdict is Verdict.BREACH)
        for number in wanted.get(step, ()):
            expectation = scenario.expect[number]
            what = _difference(expectation, said[expectation.rule])
            if what:
                where = place_of(tree, ("tests", index, "expect", number))
                what = f"at {seconds(now)} {expectation.rule} {what}"
                failures.append(Problem(str(where), scenario.name, what, said[expectation.rule].sentence))
    return ScenarioOutcome(scenario.name, len(scenario.expect), failures)


def _read(play: _Play, step: int, now: float) -> ReadReading:
    def read(signal: Signal, over: float) -> Reading:
        name = signal.name  # whose traffic it is, a scenario does not say: it is that of the rule
        series = play.readings.get(name)
        sample = series[step] if series is not None and step < len(series) else ScriptedValue(None)
        if sample.value is None:
            return Reading(name=name, over=over, at=now, value=None, reason=NO_SERIES if series is None else SCRIPTED)
        low, high = sample.value - sample.margin, sample.value + sample.margin
        return Reading(name=name, over=over, at=now, value=sample.value, low=low, high=high)

    return read


def _ask(play: _Play, step: int) -> AskCondition:
    def ask(name: str) -> Explanation:
        series = play.conditions.get(name, [])
        if step >= len(series):
            return Explanation.unknown(NO_SERIES)
        truth = series[step]
        return Explanation(truth, SCRIPTED if truth is Truth.UNKNOWN else None, "so the test says")

    return ask


def _difference(expected: Expectation, said: RuleVerdict) -> str:
    """How the verdict differs from what was expected; "" when it does not."""
    wrong = []
    if said.verdict is not expected.verdict:
        wrong.append(f"is {said.verdict}, expected {expected.verdict}")
    if expected.firing is not None and said.firing is not expected.firing:
        wrong.append("does not fire, expected firing" if expected.firing else "fires, expected not to")
    if expected.held is not None and bool(said.held) is not expected.held:
        wrong.append("is not held, expected held" if expected.held else f"is held ({said.held}), expected not")
    if expected.says not in said.sentence:
        wrong.append(f"does not say '{expected.says}'")
    return ", ".join(wrong)
