"""Rule files → ``Ruleset``, or every mistake at once as file:line:column · path · what · cure.

What a file may contain is the model below (also its JSON Schema); expressions, durations and placeholders are checked
here beyond it, so that a loaded rule cannot fail at night.
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Sequence as AnySequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from watchtower.configuration import MappingNode, ScalarNode, SequenceNode, Tree, in_order, validate
from watchtower.configuration.tree import Route, at, dotted, place_of
from watchtower.configuration.yamltree import read_file, read_yaml
from watchtower.knobs import Group
from watchtower.rules.expressions import Comparison, Expression, labelled, leaves
from watchtower.rules.grammar import parse
from watchtower.rules.ruleset import PLACEHOLDERS, Rule, Ruleset
from watchtower.vocabulary.actions import Cure
from watchtower.vocabulary.errors import BadInput, Problem
from watchtower.vocabulary.quantities import duration, seconds
from watchtower.vocabulary.readings import Severity
from watchtower.vocabulary.signals import MOST_LABELLED

LONGEST_WINDOW = 24 * 3600.0
"""Seconds: the most that ``over:`` and ``for:`` may ask."""


LONGEST_LABEL = 120
"""Characters of a tag or a variant."""


class RuleText(Group):
    """One rule, as written."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    """Small letters, digits and underscores: it becomes a metric label and a mode's key."""
    when: str
    """The breach: comparisons like ``inter_token_latency_seconds.p95 > 130ms``, joined by and, or, not, ( )."""
    over: str = "60s"
    """The window that every reading of this rule covers."""
    for_: Annotated[str, Field(alias="for")] = "0s"
    """How long the breach must hold before the rule fires."""
    tag: Annotated[str, Field(max_length=LONGEST_LABEL)] = ""
    """Only the traffic of this tag (``relay.tag_header``) is judged by ``when:``; "other" is all that no rule names."""
    variant: Annotated[str, Field(max_length=LONGEST_LABEL)] = ""
    """Only what this model answered is judged by ``when:``."""
    unless: str = ""
    """A named condition (``load_explains_latency``) or an expression: while true or unknown, the action waits."""
    severity: Severity = Severity.WARN
    """info, warn or page."""
    then: Cure = Cure.NOTHING
    """nothing, warm_restart, rollback or canary_now."""
    summary: str = ""
    """What people read; {name}, {value}, {limit} and {over} are filled in."""


class RuleFile(Group):
    """A file of rules."""

    version: Literal[1]
    rules: tuple[RuleText, ...]


def shipped_rules() -> Path:
    """The directory of the rules that come with Watchtower: in the package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "_shipped" / "rules"
    return installed if installed.is_dir() else package.parent / "rules"


def load_rules(paths: AnySequence[Path]) -> Ruleset:
    """Read all files into one set. Raises BadInput with the mistakes of all of them."""
    rules: list[Rule] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            rules += parse_rules(read_file(path))
        except BadInput as problem:
            problems += problem.problems
    for name, count in Counter(rule.name for rule in rules).items():
        if count > 1:
            files = ", ".join(str(path) for path in paths)
            problems.append(Problem(files, name, "two files have a rule of this name", "rename one"))
    ruleset = Ruleset(tuple(rules))
    named = {(signal.tag, signal.variant) for signal in ruleset.signals() if signal.labelled}
    if len(named) > MOST_LABELLED:
        files = ", ".join(str(path) for path in paths)
        what = f"the rules name {len(named)} pairs of tag and variant, {MOST_LABELLED} are kept"
        problems.append(Problem(files, "rules", what, "leave out those that nobody is woken for"))
    if problems:
        raise BadInput(problems)
    return ruleset


def read_rules(text: bytes | str, name: str) -> Ruleset:
    """The rules in ``text``. Raises BadInput, whatever the bytes, and nothing else."""
    return Ruleset(tuple(parse_rules(read_yaml(text, name))))


def parse_rules(tree: Tree) -> list[Rule]:
    """The rules of one file. Raises BadInput."""
    file, problems = validate(RuleFile, tree)
    listed = at(tree, ("rules",))
    rules, first = [], dict[str, str]()
    for index, node in enumerate(listed.items if isinstance(listed, SequenceNode) else []):
        if not isinstance(node, MappingNode):
            continue  # already a problem
        check = _Check(tree, ("rules", index))
        when, unless = check.expression("when"), check.expression("unless", conditions=True)
        over, hold_for = check.window("over", "60s", least=1.0), check.window("for", "0s", least=0.0)
        check.summary()
        check.labels(when)
        check.unique(first)
        problems += check.problems
        if file is not None and not problems and when is not None:
            text = file.rules[index]
            rules.append(
                Rule(
                    name=text.name,
                    when=labelled(when, text.tag, text.variant),
                    over=over,
                    hold_for=hold_for,
                    unless=unless,
                    severity=text.severity,
                    cure=text.then,
                    summary=text.summary,
                )
            )
    if problems:
        raise BadInput(in_order(problems))
    return rules


class _Check:
    """What the model cannot see about one rule."""

    def __init__(self, tree: Tree, route: Route) -> None:
        self.problems: list[Problem] = []
        self._tree, self._route = tree, route

    def _written(self, key: str) -> ScalarNode | None:
        """The field's text; None when it is absent or of a type that the model refuses already."""
        node = at(self._tree, (*self._route, key))
        return node if isinstance(node, ScalarNode) and isinstance(node.value, str) else None

    def _problem(self, key: str, what: str, cure: str) -> None:
        route = (*self._route, key)
        self.problems.append(Problem(str(place_of(self._tree, route)), dotted(route), what, cure))

    def expression(self, key: str, *, conditions: bool = False) -> Expression | None:
        node = self._written(key)
        if node is None or (conditions and not node.text):
            return None
        try:
            return parse(node.text, node.locate, dotted((*self._route, key)), conditions=conditions)
        except BadInput as problem:
            self.problems += problem.problems
            return None

    def window(self, key: str, default: str, *, least: float) -> float:
        node = self._written(key)
        try:
            length = duration(node.text if node else default)
        except ValueError as problem:
            what, _, cure = str(problem).partition(": ")
            self._problem(key, what, cure or "write e.g. 60s")
            return 0.0
        if not least <= length <= LONGEST_WINDOW:
            self._problem(
                key, f"out of range: {seconds(length)}", f"write {seconds(least)} to {seconds(LONGEST_WINDOW)}"
            )
        return length

    def labels(self, when: Expression | None) -> None:
        """Every reading of ``when`` must be known by the tag and the variant of the rule."""
        for key in ("tag", "variant"):
            node = self._written(key)
            if node is None or when is None or not node.text:
                continue
            for leaf in leaves(labelled(when, **{"tag": "", "variant": "", key: node.text})):
                if isinstance(leaf, Comparison) and (misfit := leaf.signal.misfit()):
                    self._problem(key, misfit, f"leave {key}: out, or give this reading a rule of its own")

    def summary(self) -> None:
        node = self._written("summary")
        if node is None:
            return
        known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        try:
            for _, name, form, conversion in string.Formatter().parse(node.text):
                if name is not None and (name not in PLACEHOLDERS or form or conversion):
                    self._problem("summary", f"unknown placeholder '{{{name[:40]}}}'", f"known: {known}")
        except ValueError:
            self._problem("summary", "a brace without its partner", f"write {{{{ for a brace; placeholders: {known}")

    def unique(self, first: dict[str, str]) -> None:
        node = self._written("name")
        if node is not None and first.setdefault(node.text, str(node.place)) != str(node.place):
            self._problem("name", f"a rule of this name stands at {first[node.text]}", "rename one")
