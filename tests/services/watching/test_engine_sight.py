"""The newest look, restarts and scrapes."""

from __future__ import annotations

from watchtower.services.watching.engine_sight import EngineSight
from watchtower.vocabulary.actions import Incarnation
from watchtower.vocabulary.facts import EngineScrape, EngineSeen, RelayGone


def look(pid: str = "", because: str = "") -> EngineSeen:
    return EngineSeen(at=1.0, known=bool(pid), incarnation=Incarnation(pid, "1", "boot") if pid else None)


def test_before_the_first_look_nothing_is_known() -> None:
    sight = EngineSight()
    sight.absorb(RelayGone(at=1.0, worker=0, pid=1))
    assert (sight.newest, sight.restarts) == (None, 0)


def test_another_incarnation_is_a_restart_and_a_look_that_cannot_tell_is_none() -> None:
    sight = EngineSight()
    for pid in ("4711", "4711", "", "4711", "4712", ""):
        sight.absorb(look(pid))
    assert sight.restarts == 1
    assert sight.newest == look("")


def test_scrapes_are_counted_by_how_they_ended() -> None:
    sight = EngineSight()
    for ok in (True, False, True):
        sight.absorb(EngineScrape(at=1.0, ok=ok))
    assert sight.scrapes == {"ok": 2, "failed": 1}
