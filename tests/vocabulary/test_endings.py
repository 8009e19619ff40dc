"""Every ending counts as one thing, and as the table of the design says."""

from __future__ import annotations

from watchtower.vocabulary.endings import COUNTS_AS
from watchtower.vocabulary.facts import Ending

DESIGNED = {
    "complete": "good",
    "empty": "apart",
    "failed": "failure",
    "error": "failure",
    "truncated": "failure",
    "refused": "callers",
    "shed": "turned_away",
    "client_left": "neither",
    "ours": "neither",
    "unobserved": "neither",
}


def test_every_ending_counts_as_designed_and_none_is_left_out() -> None:
    assert {ending.value: counts.value for ending, counts in COUNTS_AS.items()} == DESIGNED
    assert set(COUNTS_AS) == set(Ending)
