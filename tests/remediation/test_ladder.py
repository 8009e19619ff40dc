"""The ladder is climbed, never circled."""

from __future__ import annotations

import msgspec
import pytest

from tests.remediation.stage import Stage
from watchtower.remediation.ladder import next_rung
from watchtower.remediation.proposal import Rung
from watchtower.remediation.state import Action
from watchtower.vocabulary.actions import ActionState, Cure, Verb

GROUP, HOST = Verb.RESTART_GROUP, Verb.RESTART_HOST
BOTH = (GROUP, HOST)
_TEMPLATE: Action = Stage().acting().state.actions[-1]


def tried(*outcomes: tuple[Verb, ActionState]) -> tuple[Action, ...]:
    return tuple(msgspec.structs.replace(_TEMPLATE, verb=verb, state=state) for verb, state in outcomes)


@pytest.mark.parametrize(
    ("able", "before", "expected"),
    [
        (BOTH, (), Rung(GROUP, 1, False)),
        (BOTH, ((GROUP, ActionState.INEFFECTIVE),), Rung(HOST, 1, False)),
        (BOTH, ((GROUP, ActionState.INCONCLUSIVE),), Rung(HOST, 1, False)),
        (BOTH, ((GROUP, ActionState.EFFECTIVE),), Rung(GROUP, 2, False)),
        (BOTH, ((GROUP, ActionState.REJECTED),), Rung(GROUP, 2, False)),
        (BOTH, ((GROUP, ActionState.CANCELLED), (GROUP, ActionState.NOT_EXECUTED)), Rung(GROUP, 1, False)),
        (BOTH, ((GROUP, ActionState.EFFECTIVE),) * 2, Rung(HOST, 1, False)),
        (BOTH, ((GROUP, ActionState.INEFFECTIVE), (HOST, ActionState.EFFECTIVE)), Rung(HOST, 2, False)),
        (BOTH, ((GROUP, ActionState.INEFFECTIVE), (HOST, ActionState.INEFFECTIVE)), Rung(HOST, 2, False)),
        (BOTH, ((HOST, ActionState.INEFFECTIVE),) * 2, Rung(HOST, 3, True)),
        ((GROUP,), ((GROUP, ActionState.INEFFECTIVE),), Rung(GROUP, 2, False)),
        ((GROUP,), ((GROUP, ActionState.INEFFECTIVE),) * 2, Rung(GROUP, 3, True)),
        ((HOST,), (), Rung(HOST, 1, False)),
        ((), (), Rung(GROUP, 1, False)),
    ],
)
def test_the_next_rung(able: tuple[Verb, ...], before: tuple[tuple[Verb, ActionState], ...], expected: Rung) -> None:
    assert next_rung(Cure.WARM_RESTART, able, tried(*before), attempts_per_rung=2) == expected


def test_no_try_per_rung_means_never() -> None:
    assert next_rung(Cure.WARM_RESTART, BOTH, (), attempts_per_rung=0).exhausted


def test_a_rollback_has_one_rung_of_its_own() -> None:
    assert next_rung(Cure.ROLLBACK, BOTH, tried((HOST, ActionState.INEFFECTIVE)), 2) == Rung(Verb.ROLLBACK, 1, False)
