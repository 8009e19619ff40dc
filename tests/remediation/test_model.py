"""The protocol between journal and adapter, small enough to look at every state it can ever reach.

Two possible actions, a budget of one, at most two deaths of Watchtower; messages may be lost, or arrive arbitrarily
late, also after the action was closed; a person may always say "go on". Class A remembers every op_id durably, B can be
fenced and then looked at, C can do neither. The mutants are designs that somebody might find simpler; a check that
lets one of them pass would prove nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import pytest

OPS = (0, 1)
BUDGET = 1
DEATHS = 2


@dataclass(frozen=True)
class Design:
    adapter: str
    """A, B or C."""
    mutant: str = ""
    fleet: bool = False
    """A store outside has to grant a place first, and gets it back by op when the action is over."""


@dataclass(frozen=True)
class Model:
    """``journal`` and the adapter's part survive a death; ``mind`` does not."""

    journal: tuple[str, ...] = ("", "")
    """Per op: "", reserving, intent, done, not_done, ambiguous."""
    charged: tuple[bool, ...] = (False, False)
    mind: tuple[str, int] = ("idle", 0)
    """What the living Watchtower is about to do, and with which op."""
    network: frozenset[int] = frozenset()
    replies: frozenset[int] = frozenset()
    effects: tuple[int, ...] = (0, 0)
    fenced: tuple[bool, ...] = (False, False)
    """The adapter refuses this op for ever (its fence was raised, or its op_id is marked as never)."""
    deaths: int = 0
    places: frozenset[int] = frozenset()
    """What the fleet's store holds; survives a death like everything outside."""
    placeless: bool = False
    """Something was sent for which the store held no place."""


CLOSED = ("done", "not_done", "ambiguous")


T = TypeVar("T")


def put(values: tuple[T, ...], index: int, value: T) -> tuple[T, ...]:
    return (*values[:index], value, *values[index + 1 :])


def write(model: Model, op: int, record: str, charged: bool | None = None, mind: str = "") -> Model:
    then = "settle" if record in CLOSED and op in model.places else "idle"
    changed = replace(model, journal=put(model.journal, op, record), mind=(mind or then, op))
    return changed if charged is None else replace(changed, charged=put(changed.charged, op, charged))


def successors(model: Model, design: Design) -> Iterator[tuple[str, Model]]:
    """Every single thing that can happen next."""
    yield from watchtower(model, design)
    for op in model.network:
        lost = replace(model, network=model.network - {op})
        yield f"message {op} lost", lost
        refuses = model.fenced[op] or (design.adapter == "A" and model.effects[op] > 0)
        felt = lost if refuses else replace(lost, effects=put(lost.effects, op, model.effects[op] + 1))
        yield f"message {op} arrives", replace(felt, replies=felt.replies if refuses else felt.replies | {op})
    if model.deaths < DEATHS:
        mind = ("idle", 0)
        for op in OPS:
            if model.journal[op] in CLOSED and op in model.places and design.mutant != "settled only once":
                mind = ("settle", op)
            elif model.journal[op] == "reserving":
                mind = ("refused", op)
            elif model.journal[op] == "intent":
                mind = ("unknown", op)
        yield "death", replace(model, mind=mind, deaths=model.deaths + 1, replies=frozenset())


def watchtower(model: Model, design: Design) -> Iterator[tuple[str, Model]]:
    what, op = model.mind
    late_intent, on_ack = design.mutant == "intent after the call", design.mutant == "budget on ack"
    match what:
        case "idle" if sum(model.charged) < BUDGET:
            fresh = [candidate for candidate in OPS if not model.journal[candidate]]
            if fresh and late_intent:
                yield "decide", replace(model, mind=("send", fresh[0]))
            elif fresh and design.fleet:
                yield "reserving", write(model, fresh[0], "reserving", charged=True, mind="ask")
            elif fresh:
                yield "intent", write(model, fresh[0], "intent", charged=not on_ack, mind="send")
        case "ask" if design.mutant == "intent before the fleet agrees":
            yield "intent", write(model, op, "intent", mind="send")
        case "ask":
            yield "place granted", replace(model, places=model.places | {op}, mind=("granted", op))
            yield "place granted, answer lost", replace(model, places=model.places | {op}, mind=("refused", op))
            yield "place refused", replace(model, mind=("refused", op))
        case "granted":
            yield "intent", write(model, op, "intent", mind="send")
        case "refused":
            yield "cancelled", write(model, op, "not_done", charged=False)
        case "settle":
            yield "settled", replace(model, places=model.places - {op}, mind=("idle", op))
        case "send":
            placeless = model.placeless or (design.fleet and op not in model.places)
            sent = replace(model, network=model.network | {op}, mind=("waiting", op), placeless=placeless)
            yield "send", replace(sent, mind=("intend", op)) if late_intent else sent
        case "intend":
            yield "intent", write(model, op, "intent", charged=True, mind="waiting")
        case "waiting":
            if op in model.replies:
                yield "ack", write(model, op, "done", charged=True)
            yield "no reply", replace(model, mind=("unknown", op))
        case "unknown" if design.mutant == "unknown is retried":
            yield "send again", replace(model, network=model.network | {op}, mind=("waiting", op))
        case "unknown" if design.adapter == "A":
            if model.effects[op]:
                yield "status: done", write(model, op, "done", charged=True)
            else:
                never = replace(model, fenced=put(model.fenced, op, True))
                yield "status: never", write(never, op, "not_done", charged=False)
        case "unknown" if design.adapter == "B" and design.mutant == "look before the fence":
            yield "look", replace(model, mind=("done" if model.effects[op] else "undone", op))
        case "unknown" if design.adapter == "B":
            yield "fence", replace(model, fenced=put(model.fenced, op, True), mind=("look", op))
        case "look" if model.effects[op]:
            yield "looks done", write(model, op, "done", charged=True)
        case "look":
            yield "looks undone", write(model, op, "not_done", charged=False)
        case "done":
            yield "close", write(model, op, "done", charged=True)
        case "undone":
            fence = replace(model, fenced=put(model.fenced, op, True))
            yield "fence, close", write(fence, op, "not_done", charged=False)
        case "unknown" if design.mutant == "refund without proof":
            yield "give up", write(model, op, "not_done", charged=False)
        case "unknown":
            yield "a person", write(model, op, "ambiguous")


def broken(model: Model) -> str:
    """The invariant this state violates; "" when none."""
    for op in OPS:
        if model.effects[op] and not model.journal[op]:
            return "I1: an effect without a durable intent"
        if model.effects[op] > 1:
            return "I2: one op, two effects"
        if model.effects[op] and model.journal[op] == "not_done":
            return "I7: an effect of what was closed as not executed"
    if model.placeless:
        return "I3: sent without a place in the fleet"
    return "I6: over budget" if sum(model.effects) > BUDGET else ""


def explore(design: Design) -> tuple[dict[Model, list[Model]], list[str]]:
    """Breadth first: every reachable state with its successors, or the shortest way to a violation."""
    start = Model()
    graph: dict[Model, list[Model]] = {}
    paths: dict[Model, list[str]] = {start: []}
    frontier = [start]
    while frontier:
        following = []
        for model in frontier:
            if why := broken(model):
                return graph, [*paths[model], why]
            graph[model] = []
            for name, successor in successors(model, design):
                graph[model].append(successor)
                if successor not in paths:
                    paths[successor] = [*paths[model], name]
                    following.append(successor)
        frontier = following
    return graph, []


@pytest.mark.parametrize("fleet", [False, True], ids=["alone", "fleet"])
@pytest.mark.parametrize("adapter", ["A", "B", "C"])
def test_no_reachable_state_breaks_an_invariant(adapter: str, fleet: bool) -> None:
    graph, violation = explore(Design(adapter, fleet=fleet))
    assert violation == []
    assert len(graph) > 40, "a model that reaches nothing proves nothing"


def reach(graph: dict[Model, list[Model]], goal: set[Model]) -> set[Model]:
    """The states from which a state of ``goal`` can still be reached."""
    reaching = set(goal)
    while True:
        more = {model for model, nexts in graph.items() if model not in reaching and any(n in reaching for n in nexts)}
        if not more:
            return reaching
        reaching |= more


@pytest.mark.parametrize("fleet", [False, True], ids=["alone", "fleet"])
@pytest.mark.parametrize("adapter", ["A", "B", "C"])
def test_no_intent_stays_open_for_ever(adapter: str, fleet: bool) -> None:
    graph, _ = explore(Design(adapter, fleet=fleet))
    assert reach(graph, {model for model in graph if not {"intent", "reserving"} & set(model.journal)}) == set(graph)


def kept_for_ever(design: Design) -> int:
    """States in which a place of an action that is over can never be given back."""
    graph, _ = explore(design)
    free = {model for model in graph if not any(model.journal[op] in CLOSED for op in model.places)}
    return len(set(graph) - reach(graph, free))


@pytest.mark.parametrize("adapter", ["A", "B", "C"])
def test_every_place_in_the_fleet_is_given_back_wherever_we_die(adapter: str) -> None:
    assert kept_for_ever(Design(adapter, fleet=True)) == 0
    assert kept_for_ever(Design(adapter, "settled only once", fleet=True)) > 0, "the model cannot see this mistake"


@pytest.mark.parametrize(
    ("design", "breaks"),
    [
        (Design("A", "intent after the call"), "I1"),
        (Design("C", "intent after the call"), "I1"),
        (Design("B", "unknown is retried"), "I2"),
        (Design("C", "unknown is retried"), "I2"),
        (Design("C", "budget on ack"), "I6"),
        (Design("B", "look before the fence"), "I7"),
        (Design("C", "refund without proof"), "I7"),
        (Design("A", "intent before the fleet agrees", fleet=True), "I3"),
        (Design("C", "refund without proof", fleet=True), "I7"),
    ],
    ids=lambda value: f"{value.adapter}: {value.mutant}" if isinstance(value, Design) else value,
)
def test_each_simpler_design_fails(design: Design, breaks: str) -> None:
    _, path = explore(design)
    assert path, "the mutant survived: the model cannot see this mistake"
    assert path[-1].startswith(breaks), path


def test_sending_again_is_safe_only_where_the_adapter_remembers() -> None:
    assert explore(Design("A", "unknown is retried"))[1] == []
