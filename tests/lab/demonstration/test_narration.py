from typing import Any

from watchtower.lab.demonstration.narration import JournalEntry, Json, Look, ScreenLine, changes


def rule(name: str, verdict: str, *, firing: bool = False, severity: str = "page") -> Json:
    sentence = "p95 is 221 ms over 130 ms"
    return {"rule": name, "verdict": verdict, "firing": firing, "severity": severity, "sentence": sentence}


def look(
    *rules: Json,
    incidents: list[Json] | None = None,
    actions: list[Json] | None = None,
    hold: str = "open",
    pid: str = "7",
) -> Look:
    engine = {"incarnation": {"id": pid, "started": "99"}}
    status = {"rules": list(rules), "relay": {"hold": hold}, "engine": engine}
    return Look(status, incidents or [], actions or [], [])


def incident(state: str, **more: Any) -> Json:
    return {"id": "inc-1", "state": state, "title": "slow", "held": [], "recurrences": 0, **more}


def action(state: str, **more: Any) -> Json:
    known = {"op_id": "op-1", "verb": "restart_group", "attempt": 1, "state": state, "because": ""}
    return {**known, "verified_by": [], **more}


def test_nothing_new_is_nothing_told() -> None:
    same = look(rule("slow_tokens", "ok"), incidents=[incident("open")], actions=[action("acked")])
    assert changes(same, same) == []


def test_a_breach_and_its_firing_are_seen() -> None:
    quiet, breach = look(rule("slow_tokens", "ok")), look(rule("slow_tokens", "breach"))
    firing = look(rule("slow_tokens", "breach", firing=True))
    assert changes(quiet, breach) == [ScreenLine("sees", "slow_tokens BREACH: p95 is 221 ms over 130 ms")]
    assert changes(breach, firing) == [ScreenLine("sees", "slow_tokens FIRES: p95 is 221 ms over 130 ms")]


def test_a_hint_is_told_only_when_it_fires() -> None:
    unknown, ok = look(rule("hint", "unknown", severity="info")), look(rule("hint", "ok", severity="info"))
    assert changes(unknown, ok) == []
    (line,) = changes(ok, look(rule("hint", "breach", firing=True, severity="info")))
    assert line.text.startswith("hint FIRES")


def test_every_state_of_an_incident_and_every_refusal_is_decided_once() -> None:
    held = incident("held", held=[{"gate": "cooldown", "because": "4 s left"}])
    assert changes(look(incidents=[incident("open")]), look(incidents=[held])) == [
        ScreenLine("decides", "incident HELD: slow"),
        ScreenLine("decides", "held by cooldown: 4 s left"),
    ]
    assert changes(look(incidents=[held]), look(incidents=[held])) == []


def test_an_incident_that_comes_back_is_told_once_although_it_is_listed_twice() -> None:
    closed = incident("resolved")
    again = look(incidents=[incident("suspect", recurrences=1), closed])
    assert changes(look(incidents=[closed]), again) == [ScreenLine("decides", "incident SUSPECT (recurrence 1): slow")]
    assert changes(again, again) == []


def test_an_effective_action_is_told_with_its_proofs() -> None:
    done = action("effective", verified_by=["served a canary", "back inside its limit"])
    assert [line.text for line in changes(look(actions=[action("verifying")]), look(actions=[done]))] == [
        "restart_group (attempt 1) was EFFECTIVE",
        "served a canary",
        "back inside its limit",
    ]


def test_a_would_act_says_that_nothing_was_done() -> None:
    after = look()._replace(
        journal=[JournalEntry(8, "incident.open", 1.0, ""), JournalEntry(9, "action.would_act", 2.0, "restart_group")]
    )
    assert changes(look(), after) == [ScreenLine("does", "nothing; it would have: restart_group")]
    assert changes(after, after) == []


def test_the_hold_and_the_new_process_are_told() -> None:
    assert changes(look(), look(hold="holding", pid="8")) == [
        ScreenLine("does", "the relay holds new requests"),
        ScreenLine("sees", "the engine is process 8, started 99"),
    ]
