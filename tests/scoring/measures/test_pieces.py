"""Every part of a long answer is read, the end like the beginning."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from watchtower.scoring.measures.pieces import MOST_PIECES, OVERLAP, WORDS_PER_PIECE, cut, cut_by_words, starts


@given(st.integers(0, 5000))
def test_pieces_begin_at_the_beginning_end_at_the_end_and_overlap(length: int) -> None:
    found = starts(length, 254)
    assert found[0] == 0
    assert length <= 254 or found[-1] + 254 == length
    assert all(0 < later - earlier <= 254 - OVERLAP + 1 for earlier, later in pairwise(found))


def test_an_endless_answer_is_sampled_from_beginning_to_end() -> None:
    found = starts(1_000_000, 254)
    assert len(found) == MOST_PIECES
    assert found[-1] + 254 == 1_000_000


def test_a_text_is_cut_where_tokens_begin_and_end() -> None:
    text = "aa bb cc dd ee ff"
    tokens = [(index, index + 2) for index in range(0, len(text), 3)]
    assert cut(text, tokens, 6) == [text]
    assert cut(text[:8], tokens[:3], 3) == ["aa bb cc"]


def test_words_stand_in_for_tokens() -> None:
    words = [f"w{number}" for number in range(WORDS_PER_PIECE * 2)]
    pieces = cut_by_words(" ".join(words))
    assert len(pieces) == 3
    assert pieces[0].startswith("w0 ")
    assert pieces[-1].endswith(words[-1])
    assert cut_by_words("short") == ["short"]
