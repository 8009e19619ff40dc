"""Every verb has its remedy, and nobody else asks which verb it is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.remediation.stage import limits
from watchtower.remediation.remedies import REMEDIES, ladder_of, remedy_of, turn_of
from watchtower.remediation.remedies.remedy import Remedy
from watchtower.vocabulary.actions import Cure, Verb

PACKAGE = Path(__file__).resolve().parents[3] / "watchtower"
KNOWS_VERBS = (PACKAGE / "remediation" / "remedies", PACKAGE / "vocabulary")


def test_every_verb_has_exactly_one_remedy() -> None:
    assert sorted(remedy.verb for remedy in REMEDIES) == sorted(Verb)


def test_every_cure_that_acts_has_a_ladder_and_no_other_has() -> None:
    assert {cure for cure in Cure if ladder_of(cure)} == {cure for cure in Cure if cure.acts}


def test_a_warm_restart_climbs_from_the_group_to_the_host() -> None:
    assert ladder_of(Cure.WARM_RESTART) == (Verb.RESTART_GROUP, Verb.RESTART_HOST)


def test_of_two_cures_that_are_due_the_rollback_goes_first() -> None:
    assert turn_of(Cure.ROLLBACK) < turn_of(Cure.WARM_RESTART)


@pytest.mark.parametrize("remedy", REMEDIES, ids=lambda remedy: str(remedy.verb))
def test_every_remedy_has_a_budget_and_deadlines(remedy: Remedy) -> None:
    assert remedy.pool
    assert remedy.allowances(limits())
    terms = remedy.terms(limits())
    assert min(terms.execute_seconds, terms.ready_seconds, terms.verify_seconds) > 0


def test_what_makes_up_for_a_verb_is_never_made_up_for_itself() -> None:
    for remedy in REMEDIES:
        if remedy.made_up_for_by:
            assert remedy_of(remedy.made_up_for_by).made_up_for_by is None


def questions_about_verbs(source: str) -> Iterator[int]:
    """Lines that compare something with one verb, or with the cure of one."""
    if "Verb." not in source and "Cure." not in source:
        return  # to read every tree takes seconds
    of_a_verb = {"Verb": set(Verb.__members__), "Cure": {cure.name for cure in Cure if cure.acts}}
    for node in ast.walk(ast.parse(source)):
        asked = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
        asked += [node.value] if isinstance(node, ast.MatchValue) else []
        asked += [inner for operand in asked for inner in getattr(operand, "elts", ())]
        for part in asked:
            if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
                yield from [part.lineno] if part.attr in of_a_verb.get(part.value.id, ()) else []


def test_a_question_about_a_verb_is_recognized() -> None:
    for source in ("a.verb is Verb.ROLLBACK", "a in (Cure.ROLLBACK, b)", "match a:\n  case Verb.ROLLBACK: pass"):
        assert list(questions_about_verbs(source))
    assert not list(questions_about_verbs("a.cure is Cure.CANARY_NOW"))


def test_nobody_but_the_remedies_asks_which_verb_it_is() -> None:
    asking = [
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if not any(path.is_relative_to(room) for room in KNOWS_VERBS)
        for line in questions_about_verbs(path.read_text(encoding="utf-8"))
    ]
    assert asking == []
