"""When answers of now must not be learned as normal."""

from __future__ import annotations

import pytest

from tests.services.meaning.scene import Scene, an_incident
from watchtower.vocabulary.readings import RuleVerdict, Verdict


def verdict(found: Verdict) -> RuleVerdict:
    return RuleVerdict(rule="slow_tokens", verdict=found, firing=False)


def test_an_open_incident_is_something_wrong_even_when_every_rule_is_ok() -> None:
    scene = Scene()
    assert not scene.circumstances.anything_wrong()
    scene.verdicts = (verdict(Verdict.OK),)
    scene.incident = an_incident("inc-1")
    assert scene.circumstances.anything_wrong()


@pytest.mark.parametrize(("found", "wrong"), [(Verdict.OK, False), (Verdict.UNKNOWN, False), (Verdict.BREACH, True)])
def test_a_breach_is_something_wrong_before_it_is_an_incident(found: Verdict, wrong: bool) -> None:
    scene = Scene()
    scene.verdicts = (verdict(Verdict.OK), verdict(found))
    assert scene.circumstances.anything_wrong() is wrong
