from collections import Counter
from typing import Any

import msgspec

from watchtower.lab.demonstration.narration import JournalEntry, Json, Look
from watchtower.lab.demonstration.report import NOTHING, FaultReport, as_promised, report, sighting
from watchtower.lab.simulator.chats import PhaseCounts
from watchtower.lab.simulator.faults import Proof

PROOF = Proof(fault="slow", injected_at=100.0, seen_at=101.0, evidence={"pid": 7})
INCIDENT = {"id": "inc-1", "state": "recovering"}


def action(state: str, started_at: float = 110.0, **more: Any) -> Json:
    known = {"op_id": "op-1", "state": state, "started_at": started_at, "dispatched_at": 111.0, "ended_at": 130.0}
    return {**known, "verified_by": ["served a canary"], **more}


WOULD = JournalEntry(9, "action.would_act", 107.0, "restart_group")


def look(*actions: Json, openings: tuple[float, ...] = (106.5,), more: tuple[JournalEntry, ...] = ()) -> Look:
    journal = [*(JournalEntry(3, "incident.open", at, "") for at in openings), *more]
    return Look({}, [INCIDENT], list(actions), journal)


def shown(
    *actions: Json,
    replaced: bool = True,
    counts: PhaseCounts | None = None,
    more: tuple[JournalEntry, ...] = (),
    still_firing: bool = True,
) -> FaultReport:
    seen = sighting(100.0, look(*actions, more=more))
    counts = counts or PhaseCounts(requests=9)
    return report(PROOF, seen, counts, before=None, after=None, replaced=replaced, still_firing=still_firing)


def test_times_count_from_the_injection() -> None:
    found = shown(action("effective"))
    assert (found.detected_s, found.cured_s, found.verified, found.verified_by) == (
        6.5,
        30.0,
        True,
        ("served a canary",),
    )
    assert found.incident == "inc-1" and found.op_id == "op-1" and found.requests == 9


def test_the_names_in_the_json_are_those_that_others_read() -> None:
    assert set(msgspec.to_builtins(shown())) == {
        *("fault", "detected_s", "cured_s", "verified", "verified_by", "requests", "failed_requests"),
        *("failed_by_kind", "would_act", "acted", "told", "still_firing", "process_before"),
        *("process_after", "process_replaced", "weights_before", "weights_after", "incident", "op_id", "proof"),
    }


def test_what_happened_before_the_injection_does_not_count() -> None:
    seen = sighting(100.0, look(action("effective", started_at=60.0), openings=(55.0,)))
    assert (seen.detected_at, seen.cured_at, seen.incident, seen.acted) == (None, None, None, False)


def test_an_incident_that_came_back_counts_from_its_new_opening() -> None:
    assert sighting(100.0, look(openings=(55.0, 108.0, 120.0))).detected_at == 108.0


def test_an_action_under_way_is_no_cure() -> None:
    found = shown(action("verifying", ended_at=None))
    assert found.cured_s is None and found.acted and not found.verified and found.verified_by == ()


def test_a_second_attempt_may_be_the_cure() -> None:
    found = shown(action("effective", started_at=150.0, ended_at=170.0, op_id="op-2"), action("ineffective"))
    assert (found.cured_s, found.op_id) == (70.0, "op-2")


def test_a_cure_without_another_process_is_not_verified() -> None:
    assert not shown(action("effective"), replaced=False).verified


def test_a_whole_cure_is_as_promised() -> None:
    assert as_promised([shown(action("effective"))], "auto", 1) == []


def test_each_broken_promise_has_its_sentence() -> None:
    unseen = report(PROOF, NOTHING, PhaseCounts(), before=None, after=None, replaced=False)
    costly = PhaseCounts(requests=9)
    costly.failed["http_503"] = 2
    assert as_promised([unseen], "auto", 1) == ["slow: not detected", "slow: not cured"]
    assert as_promised([shown(action("ineffective"))], "auto", 1) == ["slow: not cured"]
    assert as_promised([shown(action("effective"), replaced=False)], "auto", 1) == ["slow: the cure is not verified"]
    assert as_promised([shown(action("effective"), counts=costly)], "auto", 1) == ["slow: the cure cost 2 requests"]
    assert as_promised([shown(action("effective"))], "auto", 2) == ["only 1 of 2 faults were shown"]


def test_in_mode_observe_a_would_act_is_the_promise_and_any_deed_breaks_it() -> None:
    would = (WOULD,)
    assert as_promised([shown(replaced=False, more=would)], "observe", 1) == []
    assert as_promised([shown(replaced=False)], "observe", 1) == ["slow: no would-act was recorded"]
    assert as_promised([shown(replaced=False, more=would, still_firing=False)], "observe", 1) == [
        "slow: it went away by itself"
    ]
    assert as_promised([shown(action("effective"), replaced=False, more=would)], "observe", 1) == [
        "slow: something was done in mode observe"
    ]
    assert as_promised([shown(replaced=True, more=would)], "observe", 1) == ["slow: something was done in mode observe"]


HARDWARE = Proof(fault="imbalance", injected_at=100.0, seen_at=101.0, evidence={"gpu": "GPU-1", "rank": 1})
NAMED = {"id": "inc-2", "state": "held", "title": "GPU utilization differs by 64 pp · GPU 1 (GPU-1) works 35 %"}


def told(incident: Json, *actions: Json, replaced: bool = False, failed: int = 0) -> list[str]:
    seen = sighting(100.0, Look({}, [incident], list(actions), [JournalEntry(3, "incident.open", 106.5, "")]))
    counts = PhaseCounts(requests=9)
    counts.failed["http_503"] = failed
    return as_promised([report(HARDWARE, seen, counts, before=None, after=None, replaced=replaced)], "auto", 1)


def test_a_fault_of_the_hardware_is_told_by_name_and_left_alone() -> None:
    assert told(NAMED) == []
    assert told({**NAMED, "title": "something differs"}) == ["imbalance: the alert does not name GPU-1"]
    deed = ["imbalance: something was done about it, and nothing should have been"]
    assert told(NAMED, action("effective")) == deed
    assert told(NAMED, replaced=True) == deed
    assert told(NAMED, failed=2) == ["imbalance: 2 requests failed"]


def test_a_fault_of_the_hardware_that_nobody_noticed_breaks_the_promise() -> None:
    unseen = report(HARDWARE, NOTHING, PhaseCounts(), before=None, after=None, replaced=False)
    assert as_promised([unseen], "observe", 1) == ["imbalance: not detected"]


def drifted(weights: tuple[str, str], *, replaced: bool = False, failed: int = 0) -> list[str]:
    proof = msgspec.structs.replace(PROOF, fault="drift")
    cured = sighting(proof.injected_at, look(action("effective")))
    counts = PhaseCounts(failed=Counter({"reset": failed} if failed else {}))
    found = report(proof, cured, counts, before=None, after=None, replaced=replaced, weights=weights)
    return as_promised([found], "auto", 1)


def test_drift_is_cured_when_the_demo_itself_reads_the_first_weights_again_in_the_same_process() -> None:
    assert drifted(("a" * 64, "a" * 64)) == []
    assert drifted(("a" * 64, "b" * 64)) == ["drift: the cure is not verified"]
    assert drifted(("", "")) == ["drift: the cure is not verified"]
    assert drifted(("a" * 64, "a" * 64), replaced=True) == ["drift: the cure is not verified"]
    assert drifted(("a" * 64, "a" * 64), failed=1) == ["drift: the cure cost 1 requests"]
