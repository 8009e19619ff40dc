"""Which weights are blessed, which are on trial, and what it takes to change that."""

from __future__ import annotations

import pytest

from tests.remediation.stage import GOOD, OTHER, SERVED, Stage, limits
from watchtower.remediation.snapshots import decode
from watchtower.remediation.state import rebased
from watchtower.vocabulary.incidents import IncidentState
from watchtower.vocabulary.instants import Instant


def serving(stage: Stage | None = None) -> Stage:
    return (stage or Stage()).quiet()


def earned(stage: Stage, rounds: int = 3) -> Stage:
    for _ in range(rounds):
        stage.tick().round()
    return stage.tick(21)


def test_every_incarnation_is_read_back_once_and_then_rarely() -> None:
    stage = serving().tick(100)
    assert stage.read_because == ["this incarnation was not read yet"]
    stage.restart_engine()
    stage.tick(3)
    assert stage.read_because[1:] == ["this incarnation was not read yet"]


def test_weights_are_read_back_by_schedule() -> None:
    stage = serving(Stage(limits(checkpoint_seconds=50))).tick(100)
    assert stage.read_because.count("regular") == 2


def test_an_engine_that_does_not_serve_is_not_asked() -> None:
    stage = Stage()
    stage.serving = False
    stage.quiet()
    assert stage.read_because == []


def test_weights_bless_themselves_after_time_and_clean_rounds_confirmed_by_one_more_look() -> None:
    stage = earned(serving())
    known = stage.state.checkpoints
    assert known.is_blessed
    assert known.blessed is not None
    assert (known.blessed.declared, known.blessed.by) == (SERVED, "Watchtower")
    assert "before it is blessed" in stage.read_because
    assert "3 clean canary rounds" in known.blessed.reason


def test_time_alone_blesses_nothing_and_rounds_alone_neither() -> None:
    assert not serving().tick(500).state.checkpoints.blessed
    stage = serving(Stage(limits(bless_seconds=1000)))
    assert not earned(stage, rounds=10).state.checkpoints.blessed


@pytest.mark.parametrize("clean", [False, None])
def test_a_round_that_is_not_clean_starts_the_count_anew_and_one_that_cannot_tell_does_not_count(
    clean: bool | None,
) -> None:
    stage = serving()
    stage.tick().round().tick().round().tick().round(clean).tick(30)
    assert not stage.state.checkpoints.blessed
    stage.round()
    stage.tick(3)
    assert bool(stage.state.checkpoints.blessed) is (clean is None)


def test_nothing_is_blessed_while_an_incident_is_open() -> None:
    stage = serving(Stage(limits(restarts_per_day=0, single_replica="refuse")))
    stage.breach().tick(3)
    assert stage.phase() is IncidentState.HELD
    assert not earned(stage).state.checkpoints.blessed


def test_weights_that_were_swapped_at_the_last_moment_are_not_the_ones_that_get_blessed() -> None:
    stage = serving()
    stage.tick().round().tick().round().tick().round()
    stage.memory = OTHER
    stage.tick(60)
    known = stage.state.checkpoints
    assert known.observed == OTHER
    assert known.on_trial
    assert known.blessed is None


def test_other_weights_start_their_trial_from_nothing() -> None:
    stage = earned(serving())
    stage.memory = OTHER
    stage.restart_engine()
    stage.memory = OTHER
    stage.tick(2)
    known = stage.state.checkpoints
    assert (known.clean_rounds, known.on_trial) == (0, True)
    assert known.blessed is not None
    assert known.blessed.digest == GOOD
    assert [spell.digest for spell in known.history] == [OTHER, GOOD]


def test_a_person_blesses_what_is_in_memory_and_may_take_it_back_for_good() -> None:
    stage = serving()
    stage.command("bless", reason="release 14")
    assert stage.state.checkpoints.is_blessed
    stage.command("unbless", reason="wrong tokenizer")
    assert stage.state.checkpoints.blessed is None
    assert not earned(stage).state.checkpoints.blessed
    stage.command("bless", reason="it was right after all")
    assert stage.state.checkpoints.is_blessed
    assert stage.kinds("checkpoint.") == [
        "checkpoint.seen",
        "checkpoint.blessed",
        "checkpoint.unblessed",
        "checkpoint.blessed",
    ]


def refusal(stage: Stage, verb: str, reason: str = "because") -> str:
    stage.command(verb, reason=reason)
    refused = stage.records_of("command.refused")
    return str(refused[-1].body["because"]) if refused else ""


def test_what_is_not_known_cannot_be_blessed() -> None:
    stage = Stage()
    stage.memory = ""
    assert "which weights are in memory is not known" in refusal(serving(stage), "bless")


def test_weights_that_nobody_declares_have_no_place_to_come_back_from() -> None:
    stage = Stage()
    stage.declared, stage.files[""] = "", GOOD
    assert "set engine.checkpoint" in refusal(serving(stage), "bless")


def test_a_blessing_needs_a_reason_and_something_to_withdraw() -> None:
    stage = serving()
    assert refusal(stage, "bless", reason="") == "it needs a reason"
    assert refusal(stage, "unbless") == "no checkpoint is blessed"


def test_a_blessing_survives_crash_and_reboot_but_what_is_in_memory_is_read_anew() -> None:
    stage = earned(serving())
    stage.crash()
    assert stage.state.checkpoints.looked_at is None
    assert stage.state.checkpoints.blessed is not None
    reads = len(stage.read_because)
    stage.tick(2)
    assert len(stage.read_because) == reads + 1
    assert stage.state.checkpoints.is_blessed
    moved = rebased(decode(stage.disk), Instant(boot=5.0, wall=0.0, boot_id="another"))
    assert moved.checkpoints.blessed == stage.state.checkpoints.blessed
    assert moved.checkpoints.since is not None
    assert moved.checkpoints.since <= 0


def test_a_look_that_failed_once_does_not_undo_the_trial() -> None:
    stage = serving(Stage(limits(checkpoint_seconds=5)))
    since = stage.state.checkpoints.since
    stage.memory = ""
    stage.tick(6)
    assert stage.state.checkpoints.observed == ""
    stage.memory = GOOD
    stage.tick(12)
    assert stage.state.checkpoints.since == since
