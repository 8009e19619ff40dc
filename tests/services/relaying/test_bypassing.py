"""The bypass file is the truth, whoever made it; every change of it is handed on once."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from watchtower.services.relaying.bypassing import Bypassing
from watchtower.taps.bypass import bypass_path, end_bypass, read_bypass, write_bypass
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.facts import Bypassed, RelayFrame

ANNA = Bypassed("anna", "is it us?", 1000.0)
READS = RelayFrame(at=0, worker=0, pid=1, sequence=1, open_exchanges=0)
FORWARDS = msgspec.structs.replace(READS, pid=2, bypassed=ANNA)


class House:
    def __init__(self, directory: Path) -> None:
        self.path = bypass_path(directory)
        self.frames: list[RelayFrame] = []
        self.changes: list[Bypassed | None] = []
        self.clock = HandClock()
        self.bypassing = Bypassing(directory, self.clock, lambda: self.frames, self.changes.append)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_an_order_writes_the_file_and_is_handed_on_once(house: House) -> None:
    assert house.bypassing.order(True, "anna", "is it us?") == ""
    house.bypassing.look()
    ordered = read_bypass(house.path)
    assert ordered == Bypassed("anna", "is it us?", house.clock.now().wall)
    assert house.changes == [ordered]
    assert house.bypassing.order(False, "ben", "") == ""
    assert read_bypass(house.path) is None
    assert house.changes == [ordered, None]


def test_what_is_so_already_is_refused_and_said_by_whom(house: House) -> None:
    assert house.bypassing.order(False, "ben", "") == "the relay is not bypassed"
    house.bypassing.order(True, "anna", "is it us?")
    assert "anna" in house.bypassing.order(True, "ben", "me too")
    assert read_bypass(house.path) is not None


def test_one_made_while_nobody_ran_is_noticed_at_the_first_look(house: House) -> None:
    write_bypass(house.path, ANNA)
    house.bypassing.look()
    assert house.changes == [ANNA]
    end_bypass(house.path)
    house.bypassing.look()
    house.bypassing.look()
    assert house.changes == [ANNA, None]


def test_that_there_is_none_is_said_at_the_first_look_too_because_it_may_have_ended_meanwhile(house: House) -> None:
    house.bypassing.look()
    assert house.changes == [None]


def test_a_directory_that_cannot_be_written_to_is_said(house: House, tmp_path: Path) -> None:
    bypassing = Bypassing(tmp_path / "gone", house.clock, list, house.changes.append)
    assert "cannot be changed" in bypassing.order(True, "anna", "why")
    assert house.changes == []


def test_people_see_who_ordered_it_and_how_many_workers_obey(house: House) -> None:
    assert house.bypassing.document() is None
    write_bypass(house.path, ANNA)
    house.bypassing.look()
    house.frames = [READS, FORWARDS]
    shown = house.bypassing.document()
    assert shown is not None
    assert (shown["author"], shown["workers"], shown["of"], shown["ends"]) == ("anna", 1, 2, False)
    end_bypass(house.path)
    house.bypassing.look()
    shown = house.bypassing.document()
    assert shown is not None, "as long as one worker reads nothing it is not over"
    assert shown["ends"] is True
    house.frames = [msgspec.structs.replace(FORWARDS, bypassed=Bypassed("Watchtower itself", "why", 1.0, True))]
    shown = house.bypassing.document()
    assert shown is not None, "a worker that was started so ends by nobody's order"
    assert (shown["ends"], shown["by_itself"]) == (False, True)
    house.frames = [READS]
    assert house.bypassing.document() is None
