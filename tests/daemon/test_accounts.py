"""What is counted of incidents, actions and sinks, from the entries as they are committed."""

from __future__ import annotations

from watchtower.board import Board
from watchtower.daemon.accounts import RESULTS, count_entries
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.records import Entry


def board() -> Board:
    return Board(target="e", version="1", mode="auto", profile="safe", started=HandClock().now())


def test_only_the_confirmation_of_a_suspicion_is_a_new_incident() -> None:
    counted = board()
    for origin in ("suspect", "held", "verifying"):
        count_entries(counted, [Entry("incident.open", {"from": origin})])
    assert counted.incidents_opened == 1


def test_all_results_of_a_verb_exist_before_the_first_one_ends() -> None:
    counted = board()
    count_entries(counted, [Entry("action.intent", {"verb": "restart_group"})])
    assert counted.actions_ended == {"restart_group": dict.fromkeys(RESULTS, 0)}
    count_entries(
        counted, [Entry("action.effective", {"verb": "restart_group"}), Entry("action.ignored", {"what": "x"})]
    )
    assert counted.actions_ended["restart_group"]["effective"] == 1
    assert sum(counted.actions_ended["restart_group"].values()) == 1
