from __future__ import annotations

from pathlib import Path

import pytest

from watchtower.storage import head
from watchtower.storage.head import HEAD, Head

SOME = Head(1234, "ab" * 32)


def test_a_head_is_read_back_as_it_was_written_and_only_the_owner_may_read_it(tmp_path: Path) -> None:
    head.replace(tmp_path, SOME)
    assert head.read(tmp_path) == SOME
    assert (tmp_path / HEAD).stat().st_mode & 0o777 == 0o600


def test_no_file_is_not_a_head_and_not_an_error(tmp_path: Path) -> None:
    assert head.read(tmp_path) is None


def test_a_head_cut_at_any_byte_is_refused(tmp_path: Path) -> None:
    raw = SOME.encoded()
    for length in range(len(raw)):
        (tmp_path / HEAD).write_bytes(raw[:length])
        with pytest.raises(ValueError, match="head"):
            head.read(tmp_path)


def test_no_flipped_bit_leaves_the_head_as_it_was(tmp_path: Path) -> None:
    raw = SOME.encoded()
    for place in range(len(raw)):
        for bit in range(8):
            (tmp_path / HEAD).write_bytes(raw[:place] + bytes([raw[place] ^ (1 << bit)]) + raw[place + 1 :])
            try:
                assert head.read(tmp_path) != SOME
            except ValueError:
                pass


def test_what_an_interrupted_replacement_left_behind_does_not_matter(tmp_path: Path) -> None:
    head.replace(tmp_path, SOME)
    (tmp_path / (HEAD + ".new")).write_bytes(b"watchtower-he")
    assert head.read(tmp_path) == SOME
    head.replace(tmp_path, Head(1235, "cd" * 32))
    assert head.read(tmp_path) == Head(1235, "cd" * 32)
