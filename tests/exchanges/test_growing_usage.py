"""Usage is a count where it grows with the text, and nowhere else."""

from __future__ import annotations

import pytest

from watchtower.exchanges.growing_usage import MOST_STAYS, GrowingUsage

ROLE, TEXT, SILENT, END, LAST_TEXT = (False, False), (True, False), (False, False), (False, True), (True, True)


def told(*events: tuple[tuple[bool, bool], int], choice: int = 0) -> tuple[list[int], int, GrowingUsage]:
    """Tokens by event, and those that came to light later."""
    usage, counts, later = GrowingUsage(), [], 0
    for (says, ends), total in events:
        count, more = usage.count(choice, total, says=says, ends=ends)
        counts.append(count)
        later += more
    return counts, later, usage


@pytest.mark.parametrize(
    ("events", "counts", "later", "grows"),
    [
        ([(ROLE, 0), (TEXT, 2), (TEXT, 7), (END, 8)], [0, 2, 5, 1], 0, True),
        ([(TEXT, 2), (TEXT, 7)], [1, 5], 1, True),
        # the first token's usage with the role already
        ([(ROLE, 1), (TEXT, 1), (TEXT, 2), (TEXT, 3)], [0, 1, 1, 1], 0, True),
        # the same usage twice, then it grows: the text in between was guessed right
        ([(TEXT, 1), (TEXT, 1), (TEXT, 2)], [1, 1, 0], 0, True),
        # tokens without text are tokens
        ([(ROLE, 0), (SILENT, 1), (SILENT, 2), (TEXT, 4)], [0, 1, 1, 2], 0, True),
        # text that was held back by a stop word brings no token of its own
        ([(ROLE, 0), (TEXT, 1), (TEXT, 1), (TEXT, 2)], [0, 1, 0, 1], 0, True),
        # a total that comes with the end alone is no count, text in the same event or not
        ([(ROLE, 0), (TEXT, 0), (TEXT, 0), (END, 20)], [0, 1, 1, 0], 0, False),
        ([(ROLE, 0), (TEXT, 0), (LAST_TEXT, 20)], [0, 1, 1], 0, False),
        ([(TEXT, 20)], [1], 0, False),
        ([(TEXT, 20), (TEXT, 20), (TEXT, 20)], [1, 1, 1], 0, False),
    ],
)
def test_what_each_event_brought(
    events: list[tuple[tuple[bool, bool], int]], counts: list[int], later: int, grows: bool
) -> None:
    found, more, usage = told(*events)

    assert (found, more, usage.grows) == (counts, later, grows)


def test_usage_that_stays_while_text_comes_is_no_count_any_more() -> None:
    assert not told(*[(TEXT, 0)] * MOST_STAYS)[2].is_no_count
    assert told(*[(TEXT, 0)] * (MOST_STAYS + 1))[2].is_no_count


def test_usage_that_falls_is_no_progress() -> None:
    assert told((ROLE, 0), (TEXT, 4), (TEXT, 2), (TEXT, 5))[0] == [0, 4, 0, 1]


def test_each_choice_has_its_own() -> None:
    usage = GrowingUsage()
    both = [(choice, total) for total in (0, 1, 3) for choice in (0, 1)]

    assert [usage.count(choice, total, says=total > 0, ends=False)[0] for choice, total in both] == [0, 0, 1, 1, 2, 2]
