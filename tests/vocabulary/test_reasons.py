from __future__ import annotations

from watchtower.vocabulary.reasons import LOUD, Reason, ReasonKind, loudest


def test_of_several_reasons_the_loudest_decides_and_the_first_of_equals_is_told() -> None:
    idle, silent = Reason(ReasonKind.IDLE, "idle"), Reason(ReasonKind.UNREADABLE, "the relay is silent")
    other = Reason(ReasonKind.UNREADABLE, "the scrape is refused")
    assert loudest([idle, silent, other]) is silent
    assert loudest([]) is None


def test_kinds_are_listed_loudest_first() -> None:
    kinds = list(ReasonKind)
    assert set(kinds[: len(LOUD)]) == LOUD
    assert kinds[-1] is ReasonKind.IDLE
