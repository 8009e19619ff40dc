"""The list of mutants stays true to the code: each still breaks one place, and the last run killed them all."""

from __future__ import annotations

import importlib.util
import re
from types import ModuleType

import pytest

from tests.house.source import ROOT


@pytest.fixture(scope="module")
def mutants() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mutants", ROOT / "scripts" / "mutants.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_mutant_breaks_exactly_one_place_of_the_code_as_it_is(mutants: ModuleType) -> None:
    found = mutants.listed()  # raises for a text that does not stand once in its file
    assert len(found) >= 40
    assert len({mutant.name for mutant in found}) == len(found)
    assert all(mutant.before != mutant.after for mutant in found)


def test_every_mutant_names_tests_that_exist(mutants: ModuleType) -> None:
    missing = {test for mutant in mutants.listed() for test in mutant.tests if not (ROOT / test).exists()}
    assert missing == set()


def test_the_record_of_the_last_run_is_of_this_list_and_nothing_survived(mutants: ModuleType) -> None:
    rows = re.findall(r"^\| (\S+) \|.*\| (\w+) \|$", (ROOT / "docs" / "mutants.md").read_text(), flags=re.M)
    recorded = {name: state for name, state in rows if name != "Mutant"}
    assert recorded.keys() == {mutant.name for mutant in mutants.listed()}, "make mutants ARGS=--record"
    assert set(recorded.values()) == {"killed"}
