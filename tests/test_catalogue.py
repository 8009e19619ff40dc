"""The catalogue names what exists, and says so when something does not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from watchtower.catalogue import CATALOGUE, load, settings_of
from watchtower.knobs import Socket
from watchtower.vocabulary.errors import BadInput

ROOT = Path(__file__).parent.parent / "watchtower"


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in CATALOGUE.items() for name in names])
def test_everything_listed_can_be_loaded(kind: Socket, name: str) -> None:
    assert callable(load(kind, name))


def test_a_near_miss_names_the_nearest() -> None:
    with pytest.raises(BadInput, match=r"unknown kind: proces · did you mean process\? one of: none, process"):
        load("supervisors", "proces")


def test_a_far_miss_lists_the_known() -> None:
    with pytest.raises(BadInput, match="one of: none, process"):
        load("supervisors", "kubernetes")


def test_no_part_outside_a_plugin_asks_which_kind_it_is() -> None:
    """What the house needs to know of a plug-in comes from its port, or from what its settings say of every kind."""
    targets = [target for kinds in CATALOGUE.values() for target in kinds.values()]
    homes = [target.partition(":")[0].replace(".", "/") + ".py" for target in targets]
    asks = re.compile(r"""(supervisor|engine|sink|group)(_settings)?\.kind\s*(==|!=|is|in)\s""")
    found = [
        f"{path}:{number}"
        for path in sorted(ROOT.rglob("*.py"))
        if str(path.relative_to(ROOT.parent)) not in homes
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if asks.search(line) and "(supervisor.kind is " not in line
    ]
    assert found == []


@pytest.mark.parametrize(("socket", "kind"), [(socket, kind) for socket, kinds in CATALOGUE.items() for kind in kinds])
def test_each_kind_brings_its_own_settings_under_its_own_name(socket: Socket, kind: str) -> None:
    settings = settings_of(socket, kind)
    assert settings.socket == socket
    assert get_args(settings.model_fields["kind"].annotation) == (kind,)
    assert settings.__module__ == load(socket, kind).__module__
