"""The house keeps its shape: small functions, no circle between files, a daemon that only wires."""

from __future__ import annotations

import tomllib
from importlib.util import find_spec

from tests.house.source import ROOT, circles, modules

MOST_LINES = 80
"""Of one function: what a reader can hold."""
DAEMON_LINES = 1000
"""Of ``daemon/`` in all: it connects and decides nothing."""


def test_no_function_is_longer_than_a_reader_can_hold() -> None:
    long = {function.place for module in modules() for function in module.functions if function.lines > MOST_LINES}
    assert long == set()


def test_no_two_files_know_each_other() -> None:
    """Imports for the type checker count: who needs another's type knows the other."""
    every = modules()
    names = {module.name for module in every}
    graph = {module.name: {name for name in module.imports & names if name != module.name} for module in every}
    assert circles(graph) == []


def test_a_circle_is_found_where_there_is_one() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_every_file_opens_by_saying_why_it_exists() -> None:
    silent = [
        module.place
        for module in modules()
        if module.text.strip() and not module.text.lstrip().startswith('"""')  # an empty __init__ says nothing
    ]
    assert silent == []


def test_the_daemon_only_wires() -> None:
    lines = {module.place: len(module.text.splitlines()) for module in modules("watchtower/daemon")}
    assert sum(lines.values()) <= DAEMON_LINES, lines


def test_no_room_of_the_product_knows_the_lab() -> None:
    """The lab breaks and measures the product; the product does not know that it is watched."""
    allowed = ("watchtower/lab/", "watchtower/programs/", "watchtower/cli/")
    found = {
        module.place: sorted(name for name in module.imports if name.startswith("watchtower.lab"))
        for module in modules()
        if not module.place.startswith(allowed)
    }
    assert {place: names for place, names in found.items() if names} == {}


def test_types_are_the_same_whether_or_not_a_library_is_installed() -> None:
    overrides = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]["overrides"]
    skipped = {name.partition(".")[0] for entry in overrides if "follow_imports" in entry for name in entry["module"]}
    used = {name.partition(".")[0] for module in modules() for name in module.imports}
    assert {name for name in used if find_spec(name) is None} <= skipped
