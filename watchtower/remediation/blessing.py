"""When the weights are read back, when they are blessed, and what a person may say about it.

Reading weights back makes the engine stand still while it hashes them, so it is asked for rarely: once for every
incarnation, on a slow schedule, and whenever a decision hangs on it. Weights bless themselves only after a while
without an incident and enough clean canary rounds in a row, confirmed by one more look; a person may bless what is in
memory, or withdraw a blessing, at any time.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from watchtower.remediation import checkpoint_registry
from watchtower.remediation.checkpoint_registry import short
from watchtower.remediation.gates import Judgement
from watchtower.remediation.interface import ReadWeights
from watchtower.remediation.proposal import since_when
from watchtower.remediation.remedies import remedy_of
from watchtower.remediation.step import Step
from watchtower.vocabulary.facts import CanaryRound, CheckpointSeen

AGAIN_SECONDS = 2.0
"""While a cure waits for the proof: so often the weights are read again."""
RETRY_SECONDS = 30.0
"""The same while a rollback cannot be decided because they could not be read."""
OURSELVES = "Watchtower"


def read_back(step: Step, fact: CheckpointSeen) -> None:
    """One answer. Recorded when it says something new. An answer about an earlier incarnation is none."""
    before, engine = step.state.checkpoints, step.state.engine
    if engine.changed_at is not None and fact.at < engine.changed_at:
        return
    after = checkpoint_registry.read_back(before, fact, step.now.wall)
    step.put(checkpoints=after)
    if (after.observed, after.declared, after.because) != (before.observed, before.declared, before.because):
        step.record(
            "checkpoint.seen",
            declared=after.declared,
            observed=after.observed,
            because=after.because,
            on_trial=after.on_trial,
            blessed=after.blessed.digest if after.blessed else "",
        )


def rounded(step: Step, fact: CanaryRound) -> None:
    step.put(checkpoints=checkpoint_registry.round_ended(step.state.checkpoints, fact.at, fact.clean))


def forget(step: Step, because: str) -> None:
    step.put(checkpoints=checkpoint_registry.forgotten(step.state.checkpoints, because))


def watch(step: Step) -> None:
    """At each evaluation: bless what is ripe, and read back what has to be known."""
    known = step.state.checkpoints
    if ripe(step) and known.looked_at is not None and known.round_at is not None and known.looked_at >= known.round_at:
        rounds, seconds = known.clean_rounds, step.now.boot - (known.since or step.now.boot)
        bless(step, OURSELVES, f"{rounds} clean canary rounds in {seconds:.0f} s without an incident")
    elif why := due(step):
        ask(step, why)


def needed(step: Step, judgements: Sequence[Judgement]) -> None:
    """A cure waits for it to be known which weights are in memory: read them, once for each breach."""
    for judgement in judgements:
        remedy = remedy_of(judgement.proposal.verb)
        blocked = remedy.opened_by_reading and remedy.opened_by_reading(judgement.proposal)
        if blocked and step.state.checkpoints.blessed and serves(step) and not waiting(step):
            asked = step.state.checkpoints.asked_at
            if asked is None or asked < since_when(judgement.proposal) or step.now.boot - asked > RETRY_SECONDS:
                ask(step, f"{judgement.proposal.verdict.rule} asks for a {remedy.verb}")


def ask(step: Step, why: str) -> None:
    step.put(checkpoints=msgspec.structs.replace(step.state.checkpoints, asked_at=step.now.boot))
    step.want(ReadWeights(why))


def due(step: Step) -> str:
    """Why the weights should be read back now; "" when they need not be."""
    known, now = step.state.checkpoints, step.now.boot
    if not serves(step) or waiting(step):
        return ""
    if awaits_proof(step):
        return f"proof of {step.action.op_id}" if now - (known.asked_at or 0.0) >= AGAIN_SECONDS else ""
    if step.state.action:
        return ""
    if known.looked_at is None:
        return "this incarnation was not read yet"
    if now - known.looked_at >= step.limits.checkpoint_seconds:
        return "regular"
    if ripe(step):
        return "before it is blessed"
    return ""


def serves(step: Step) -> bool:
    engine = step.state.engine
    return engine.known and engine.running and engine.serving


def waiting(step: Step) -> bool:
    """They were asked for, and the answer may still come."""
    known = step.state.checkpoints
    if known.asked_at is None or (known.looked_at is not None and known.looked_at >= known.asked_at):
        return False
    return step.now.boot - known.asked_at < step.limits.checkpoint_deadline_seconds


def awaits_proof(step: Step) -> bool:
    """An action under way has to show which weights it left, and has not."""
    action = step.state.action
    if action is None or not action.digest or action.read_back_at is not None:
        return False
    return action.state in remedy_of(action.verb).proof.reads_from


def ripe(step: Step) -> bool:
    """These weights have earned their blessing, but for the last look."""
    known, limits = step.state.checkpoints, step.limits
    return (
        known.on_trial
        and bool(known.declared)
        and known.observed not in known.withdrawn
        and known.since is not None
        and step.now.boot - known.since >= limits.bless_seconds
        and known.clean_rounds >= limits.bless_rounds
        and step.state.incident is None
        and not step.state.storage_fault
    )


def bless(step: Step, by: str, reason: str) -> None:
    known = checkpoint_registry.blessed(step.state.checkpoints, step.now.wall, by, reason)
    step.put(checkpoints=known)
    step.record(
        "checkpoint.blessed", declared=known.declared, observed=known.observed, by=by, reason=reason, because=reason
    )


def unbless(step: Step, by: str, reason: str) -> None:
    was = step.state.checkpoints.blessed
    step.put(checkpoints=checkpoint_registry.unblessed(step.state.checkpoints))
    step.record(
        "checkpoint.unblessed",
        declared=was.declared if was else "",
        observed=was.digest if was else "",
        by=by,
        reason=reason,
        because=reason,
    )


def refused(step: Step, verb: str) -> str:
    """Why a person's ``bless`` or ``unbless`` is not obeyed; "" when it is."""
    known = step.state.checkpoints
    if verb == "unbless":
        return "" if known.blessed else "no checkpoint is blessed"
    if not known.observed:
        return f"which weights are in memory is not known: {known.because}"
    if not known.declared:
        return "nobody declares where these weights can be loaded from · set engine.checkpoint"
    if known.is_blessed and known.blessed and known.blessed.declared == known.declared:
        return f"{short(known.observed)} is blessed already"
    return f"{step.action.op_id} is under way" if step.state.action else ""
