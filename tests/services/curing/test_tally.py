"""What is counted of incidents and actions, from the entries as they are committed."""

from __future__ import annotations

from watchtower.services.curing.tally import RESULTS, IncidentTally
from watchtower.vocabulary.records import Entry


def test_only_the_confirmation_of_a_suspicion_is_a_new_incident() -> None:
    tally = IncidentTally()
    for origin in ("suspect", "held", "verifying"):
        tally.count([Entry("incident.open", {"from": origin})])
    assert tally.incidents_opened == 1


def test_all_results_of_a_verb_exist_before_the_first_one_ends() -> None:
    tally = IncidentTally()
    tally.count([Entry("action.intent", {"verb": "restart_group"})])
    assert tally.actions_ended == {"restart_group": dict.fromkeys(RESULTS, 0)}
    tally.count([Entry("action.effective", {"verb": "restart_group"}), Entry("action.ignored", {"what": "x"})])
    assert tally.actions_ended["restart_group"]["effective"] == 1
    assert sum(tally.actions_ended["restart_group"].values()) == 1
