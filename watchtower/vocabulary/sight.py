"""How much of the service the rules can see: the one judge of blindness.

The machine and the status ask this function, so that neither guesses anew. It looks at verdicts and at the kinds of
their reasons, never at a sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

from watchtower.vocabulary.actions import Cure
from watchtower.vocabulary.readings import RuleVerdict, Severity, Verdict
from watchtower.vocabulary.reasons import LOUD, Reason, ReasonKind, loudest


class WatchState(StrEnum):
    SEEING = "seeing"
    """Something is judged, and what is not is nobody's fault."""
    PARTLY_BLIND = "partly_blind"
    """Some rule cannot be judged although it should; others can, or the engine is at rest."""
    BLIND = "blind"
    """Nothing can be judged, and a part of ours is the cause."""
    IDLE = "idle"
    """Nothing can be judged, and that is nobody's fault: nobody asks anything, too little was asked, parts are off."""


RELAY: Final = "relay"
"""The part (``Reason.part``) that sees the traffic."""
AT_REST: Final = frozenset({ReasonKind.IDLE, ReasonKind.WARMING, ReasonKind.ELSEWHERE})
"""The engine gives nothing to judge, so people are not told that nothing is judged."""


def watch_state(verdicts: Iterable[RuleVerdict]) -> WatchState:
    """Of one evaluation. An UNKNOWN without a reason counts as one that is loud: ignorance is no excuse."""
    watched = watching(verdicts)
    unknown = [verdict for verdict in watched if verdict.verdict is Verdict.UNKNOWN]
    judged = len(unknown) < len(watched)
    kinds = [_kind(verdict) for verdict in unknown]
    if not any(kind in LOUD for kind in kinds):
        return WatchState.SEEING if judged else WatchState.IDLE
    at_rest = any(map(_at_rest, unknown))
    return WatchState.PARTLY_BLIND if judged or at_rest else WatchState.BLIND


def traffic_unreadable(verdicts: Iterable[RuleVerdict]) -> bool:
    """The relay does not answer: what clients get is not judged, however well canaries are served."""
    return any(
        verdict.verdict is Verdict.UNKNOWN and any(map(_of_the_relay, verdict.reasons))
        for verdict in watching(verdicts)
    )


def watching(verdicts: Iterable[RuleVerdict]) -> list[RuleVerdict]:
    """Those that watch the service: rules that wake people or act. A rule that only asks for a canary does not, nor
    one about cards: that a card is well says nothing about what clients get."""
    return [
        verdict
        for verdict in verdicts
        if (verdict.severity is Severity.PAGE or verdict.cure is not Cure.NOTHING)
        and verdict.cure is not Cure.CANARY_NOW
        and not _about_cards(verdict)
    ]


def loudest_of(watched: Sequence[RuleVerdict]) -> RuleVerdict:
    """The UNKNOWN verdict that people should hear of; the first of equals. Raises ValueError where none is UNKNOWN."""
    order = list(ReasonKind)
    unknown = (verdict for verdict in watched if verdict.verdict is Verdict.UNKNOWN)
    return min(unknown, key=lambda verdict: order.index(_kind(verdict)))


def _kind(verdict: RuleVerdict) -> ReasonKind:
    reason = loudest(verdict.reasons)
    return ReasonKind.UNREADABLE if reason is None else reason.kind


def _of_the_relay(reason: Reason) -> bool:
    return reason.kind is ReasonKind.UNREADABLE and reason.part == RELAY


def _at_rest(verdict: RuleVerdict) -> bool:
    """A loud reason hides that the engine rests; a silent one (no baseline yet, a part that is off) does not."""
    return _kind(verdict) not in LOUD and any(reason.kind in AT_REST for reason in verdict.reasons)


def _about_cards(verdict: RuleVerdict) -> bool:
    return bool(verdict.readings) and all(reading.name.startswith("gpu_") for reading in verdict.readings)
