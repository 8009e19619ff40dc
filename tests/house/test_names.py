"""One name, one thing; and the names are the field's, not ours.

A list of exceptions says why. Whoever adds to it explains it to the next reader.
"""

from __future__ import annotations

import re
from collections import defaultdict

from tests.house.source import Module, modules

NAMED_AFTER_WHAT_THEY_PLUG_IN = (
    "watchtower/programs/",
    "watchtower/adapters/engine/",
    "watchtower/adapters/supervisor/",
    "watchtower/sinks/",
    "watchtower/exchanges/dialects/",
    "watchtower/remediation/remedies/",
    "watchtower/testing/",
)
"""Folders whose files are named after something else: a command, a vendor (who may stand in several), or, in
``testing/``, the part that a fake stands in for. Authors of plug-ins import those by these names."""

PRIVATE_WORDS = {
    "furnish": "build",
    "take_stock": "collect",
    "remembering": "storing",
    "bury": "reap",
    "orphans": "unclaimed",
    "see_off": "close",
    "spoken": "sent",
    "told": "sent, reported, known",
}
"""The author's own words and what the field says instead. Guarded as whole words inside names."""

MAY_BIND_ONE = re.compile(r"\bone *(=|,|:|\)|\]|in\b)|(def|class|as|case) one\b")


def shared(names: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: sorted(places) for name, places in sorted(names.items()) if len(places) > 1}


def test_a_class_name_occurs_once() -> None:
    places = defaultdict[str, list[str]](list)
    for module in modules():
        for name in module.classes:
            places[name].append(module.place)
    assert shared(places).keys() == set()


def test_a_file_name_occurs_once() -> None:
    places = defaultdict[str, list[str]](list)
    for module in modules():
        if module.path.name != "__init__.py" and not module.place.startswith(NAMED_AFTER_WHAT_THEY_PLUG_IN):
            places[module.path.name].append(module.place)
    assert shared(places).keys() == set()


def test_one_is_a_number_and_names_nothing() -> None:
    ours = modules("watchtower", "tests", "dashboards", "scripts")
    suspects = [module for module in ours if MAY_BIND_ONE.search(module.text)]  # to read every tree takes seconds
    assert [f"{module.place}:{line}" for module in suspects for name, line in module.bound if name == "one"] == []


def test_no_private_word_names_anything() -> None:
    found = defaultdict[str, list[str]](list)
    for module in modules():
        for name, line in module.bound:
            if private(name):
                found[name].append(f"{module.place}:{line}")
    for module in modules():
        if private(module.path.stem):
            found[module.path.stem].append(module.place)
    assert found == {}


def private(name: str) -> bool:
    return any(re.search(rf"(^|_){word}(_|$)", name) for word in PRIVATE_WORDS)


def test_the_search_finds_what_it_looks_for() -> None:
    assert private("furnish") and private("_told") and private("bury_orphans") and private("take_stock")
    assert not private("stock") and not private("furniture")
    assert {"watchtower.storage.head"} <= {module.name for module in modules()}
    assert Module.__name__ in modules("tests/house")[1].classes
    bindings = (
        "one = 1",
        "one: int",
        "a, one = b",
        "for one in b",
        "lambda one: 1",
        "def f(one): pass",
        "(one, a) = b",
    )
    more = ("[one] = b", "def one(): pass", "class one: pass", "import a as one", "self.one = 1", "with a as one: pass")
    assert all(map(MAY_BIND_ONE.search, (*bindings, *more, "case one:", "if (one := 1): pass")))
