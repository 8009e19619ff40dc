"""From the decision to act to held traffic: PLANNED → AWAITING_APPROVAL → RESERVING → INTENT → HOLDING.

Everything that is recorded here is durable before anything outside is asked for: the budget is charged before the
fleet is asked, the intent is written before the traffic is held. Where nobody has to approve and no fleet has to agree,
all of it happens in the step that decides.

An action of a rule, a compensation and a person's order all leave through here; what differs is the words.
"""

from __future__ import annotations

from hashlib import blake2s
from typing import Any

import msgspec

from watchtower.remediation.gates import Judgement
from watchtower.remediation.interface import HoldTraffic, Reserve
from watchtower.remediation.remedies import remedy_of
from watchtower.remediation.state import Action, Approval, ByRule
from watchtower.remediation.step import Step
from watchtower.vocabulary.actions import ActionState, Incarnation, Mode, Plan, Verb
from watchtower.vocabulary.incidents import IncidentState, NoticeKind

APPROVAL_SECONDS = 900.0
"""How long a person may think about it."""


class Announcement(msgspec.Struct, frozen=True):
    """What the incident and people are told when the action begins."""

    why: str
    notice: str


def plan_of(action: Action) -> Plan:
    """Exactly what is to be done, frozen since INTENT."""
    return Plan(
        op_id=action.op_id,
        verb=action.verb,
        incident=action.incident,
        rule=action.rule,
        expected_incarnation=action.before,
        attempt=action.attempt,
        reason=action.reason,
        not_after=action.not_after,
        fence_token=action.fence_token,
        checkpoint=action.checkpoint if action.verb.loads_weights else "",
        digest=action.digest if action.verb.loads_weights else "",
    )


def digest_of(action: Action) -> str:
    """Of what a person approves: all of the plan but its fence and its latest start, which are set afterwards."""
    plan = msgspec.structs.replace(plan_of(action), fence_token=0, not_after=0.0)
    return blake2s(msgspec.json.encode(plan)).hexdigest()[:24]


def new_action(step: Step, verb: Verb, before: Incarnation | None, **fields: Any) -> Action:
    """PLANNED, and nowhere on record yet. ``fields``: what the caller knows better."""
    now, lease = step.now, step.state.lease
    return Action(
        **{
            "op_id": step.derive("op", 12),
            "verb": verb,
            "attempt": 1,
            "state": ActionState.PLANNED,
            "before": before,
            "dead": not step.state.engine.running,
            "fence_token": step.state.fence_token,
            "lease_token": lease.token if lease else 0,
            "not_after": latest_start(step),
            "terms": remedy_of(verb).terms(step.limits),
            "charged": False,
            "started_at": now.boot,
            "started_wall": now.wall,
            "entered_at": now.boot,
            **fields,
        }
    )


def begin(step: Step, judgement: Judgement, symptoms: tuple[str, ...], *, drain: bool) -> None:
    """Every gate said yes."""
    proposal, engine = judgement.proposal, step.state.engine
    if engine.incarnation is None:
        raise LookupError("an action needs an incarnation to act on")
    aim = remedy_of(proposal.verb).aim(step.state.checkpoints)
    action = new_action(
        step,
        proposal.verb,
        engine.incarnation,
        incident=step.incident.id,
        origin=ByRule(proposal.verdict.rule),
        symptoms=symptoms,
        attempt=proposal.rung.attempt,
        reason=f"{step.incident.id}: {proposal.verdict.sentence or proposal.verdict.rule}",
        drain=drain,
        checkpoint=aim.checkpoint,
        digest=aim.digest,
        digest_before=aim.digest_before,
    )
    whom = f"in place of {action.before}, which is gone" if action.dead else f"on {action.before}"
    waiting = "open requests finish first, new ones wait" if drain else "new requests wait"
    does = f"Watchtower does {action.verb} (attempt {action.attempt}) {whom}{aim.words}; {waiting}."
    words = Announcement(f"{action.verb}, attempt {action.attempt}: {action.reason}", f"{step.incident.title} · {does}")
    detail = {"permits": list(judgement.permits)}
    asks = proposal.mode is Mode.APPROVE
    depart(step, action, words, because="every gate permits it", detail=detail, asks=asks)


def depart(
    step: Step, action: Action, words: Announcement, *, because: str, detail: dict[str, Any], asks: bool = False
) -> None:
    """As far as it gets without anybody else's word. ``asks``: a person has to approve it first."""
    step.put(actions=(*step.state.actions, action))
    if action.incident:
        step.amend(actions=(*step.incident.actions, action.op_id))
    if asks:
        ask_for_approval(step, because, detail)
    else:
        reserve(step, because, detail)
    announce(step, words)
    hold_traffic(step)


def ask_for_approval(step: Step, because: str, detail: dict[str, Any]) -> None:
    action, seconds = step.action, APPROVAL_SECONDS
    approval = Approval(digest=digest_of(action), until=step.now.boot + seconds, until_wall=step.now.wall + seconds)
    step.advance(
        ActionState.AWAITING_APPROVAL,
        because,
        detail=detail | {"digest": approval.digest, "until_wall": approval.until_wall},
        approval=approval,
    )


def reserve(step: Step, because: str, detail: dict[str, Any]) -> None:
    """Charge the budget; then the fleet's word, if there is one, decides."""
    charged = not step.action.ordered
    if step.participants.fleet:
        step.advance(ActionState.RESERVING, because, detail=detail, charged=charged, fleet_asked=True)
        step.want(Reserve(step.action.op_id, step.action.verb, step.action.lease_token))
        return
    step.advance(ActionState.RESERVED, because, detail=detail, charged=charged)
    intend(step)


def intend(step: Step) -> None:
    """The intent is written; only then is anything outside asked for."""
    action = step.revise(fence_token=step.state.fence_token, not_after=latest_start(step))
    detail = {"compensates": action.compensates} if action.compensates else {}
    step.advance(ActionState.INTENT, action.reason, detail={"plan": msgspec.to_builtins(plan_of(action))} | detail)
    step.revise(state=ActionState.HOLDING)  # in the same transaction: the intent's record stands for both


def hold_traffic(step: Step) -> None:
    """What HOLDING wants done; last of all that a step wants."""
    if step.action.state is ActionState.HOLDING:
        step.want(HoldTraffic(step.action.op_id, step.action.drain))


def latest_start(step: Step) -> float:
    return step.now.boot + 2 * step.limits.execute_seconds


def announce(step: Step, words: Announcement) -> None:
    if step.action.incident:
        step.move(IncidentState.ACTING, words.why)
        step.tell(NoticeKind.ACTING, words.notice)
    else:
        step.report_order(NoticeKind.ACTING, words.notice)
