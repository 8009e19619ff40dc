"""The catalogue names what exists, and says so when something does not."""

from __future__ import annotations

import pytest

from watchtower.catalogue import CATALOGUE, load
from watchtower.knobs import Socket
from watchtower.vocabulary.errors import BadInput


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in CATALOGUE.items() for name in names])
def test_everything_listed_can_be_loaded(kind: Socket, name: str) -> None:
    assert callable(load(kind, name))


def test_a_near_miss_names_the_nearest() -> None:
    with pytest.raises(BadInput, match=r"unknown kind: proces · did you mean process\? one of: none, process"):
        load("supervisors", "proces")


def test_a_far_miss_lists_the_known() -> None:
    with pytest.raises(BadInput, match="one of: none, process"):
        load("supervisors", "kubernetes")
