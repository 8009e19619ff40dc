"""A stage for the machine: a clock moved by hand, an engine, an adapter that counts what it really did, and a journal.

The journal keeps only what a step committed. ``crash()`` throws away everything else, so a test can die at any point
and come back exactly as the daemon would. The adapter runs what it is told at once, unless told otherwise.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec

from watchtower.remediation.decision import decide
from watchtower.remediation.interface import (
    NOBODY,
    AskStatus,
    Canaried,
    Collect,
    Commanded,
    Dispatch,
    Drained,
    Effect,
    EngineObserved,
    Event,
    Evidence,
    EvidenceCollected,
    ExecuteReplied,
    Fenced,
    HoldTraffic,
    Participants,
    RaiseFence,
    ReadBack,
    ReadWeights,
    Record,
    ReleaseTraffic,
    Reserve,
    Reserved,
    Rounded,
    SendCanary,
    Settle,
    Started,
    StatusAnswered,
    StopEngine,
    Tell,
)
from watchtower.remediation.proposal import ABSENT
from watchtower.remediation.snapshots import decode, encode
from watchtower.remediation.state import HeldLease, Incident, TargetState
from watchtower.settings import RemediationSettings
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.actions import (
    ActionState,
    Answer,
    Capabilities,
    Cure,
    Incarnation,
    Mode,
    Plan,
    Reply,
    ReplyKind,
    Verb,
)
from watchtower.vocabulary.facts import CanaryEnded, CanaryOutcome, CanaryRound, CheckpointSeen, EngineSeen
from watchtower.vocabulary.incidents import IncidentState, Notice, NoticeKind
from watchtower.vocabulary.readings import Reading, RuleVerdict, Severity, Verdict
from watchtower.vocabulary.reasons import Reason

VERBS = (Verb.RESTART_GROUP, Verb.RESTART_HOST, Verb.ROLLBACK)
CLASS_A = Capabilities(verbs=VERBS, idempotent_durable=True, fence=True, cas_incarnation=True)
CLASS_B = Capabilities(verbs=VERBS, fence=True)
CLASS_C = Capabilities(verbs=VERBS)
SERVED, GOOD, OTHER = "/weights/served", "a" * 64, "b" * 64
"""A directory of weights, and two digests that weights may read."""


def limits(**changes: Any) -> RemediationSettings:
    """Auto, short, and no gate in the way unless a test puts it there."""
    usual: dict[str, Any] = {
        "mode": Mode.AUTO,
        "single_replica": "allow",
        "startup_grace_seconds": 10,
        "dwell_evaluations": 2,
        "clear_dwell_seconds": 20,
        "evidence_max_age_seconds": 5,
        "stabilization_seconds": 10,
        "verify_seconds": 60,
        "soak_seconds": 60,
        "cooldown_seconds": 30,
        "cooldown_cap_seconds": 240,
        "hold_deadline_seconds": 120,
        "execute_seconds": 20,
        "ready_seconds": 40,
        "recurrence_seconds": 600,
        "restarts_per_hour": 10,
        "restarts_per_day": 20,
        "breaker_failures": 10,
        "flap_cycles": 10,
        "blind_seconds": 30,
        "rollbacks_per_day": 10,
        "bless_seconds": 20,
        "reload_seconds": 30,
        "checkpoint_deadline_seconds": 10,
    }
    return RemediationSettings(**(usual | changes))


@dataclass
class Rule:
    """One rule and what it says now. ``since`` is kept by the stage."""

    name: str = "slow_tokens"
    cure: Cure = Cure.WARM_RESTART
    severity: Severity = Severity.PAGE
    reading: str = "inter_token_latency_seconds.p95"
    over: float = 1.0
    verdict: Verdict = Verdict.OK
    firing: bool | None = None
    """None: whenever it breaches."""
    held: str = ""
    held_unknown: bool = False
    sentence: str = ""
    reasons: tuple[Reason, ...] = ()
    since: float | None = None
    age: float = 0.0

    def says(self, now: float) -> RuleVerdict:
        breach = self.verdict is Verdict.BREACH
        if not breach:
            self.since = None
        elif self.since is None:
            self.since = now
        well, ill = (0.0, 7.0) if self.reading == ABSENT else (0.04, 0.31)
        value = {Verdict.OK: well, Verdict.BREACH: ill, Verdict.UNKNOWN: None}[self.verdict]
        return RuleVerdict(
            rule=self.name,
            verdict=self.verdict,
            firing=breach if self.firing is None else self.firing,
            since=self.since,
            severity=self.severity,
            cure=self.cure,
            held=self.held,
            held_unknown=self.held_unknown,
            sentence=self.sentence or f"{self.name} is {self.verdict}",
            reasons=self.reasons,
            value=value,
            limit=0.13,
            unit="s",
            readings=(Reading(name=self.reading, over=self.over, at=now - self.age, value=value),),
        )


@dataclass
class Adapter:
    """The supervisor, with a ledger of its own that no crash of ours touches."""

    capabilities: Capabilities
    reply: ReplyKind = ReplyKind.ACKED
    carries_out: bool = True
    """Whether ``execute`` has its effect."""
    answers: bool = True
    """Whether anything ever comes back."""
    status: Answer | None = None
    """What ``status`` says; None: the truth (class A), or CANNOT_TELL."""
    executions: Counter[str] = field(default_factory=Counter)
    """Effects by op_id: what the engine felt."""
    sends: Counter[str] = field(default_factory=Counter)
    plans: list[Plan] = field(default_factory=list)
    highest_fence: int = 0


@dataclass
class Stage:
    """``tick`` is one second: the adapter looks, the rules are evaluated, and all that was wanted is done."""

    settings: RemediationSettings = field(default_factory=limits)
    capabilities: Capabilities = CLASS_A
    rules: list[Rule] = field(default_factory=lambda: [Rule()])
    cures: bool = True
    """A restart makes every rule OK."""
    canary: CanaryOutcome = CanaryOutcome.SERVED
    participants: Participants = NOBODY

    def __post_init__(self) -> None:
        self.clock = HandClock()
        self.state = TargetState(target="engine")
        self.disk = encode(self.state)
        self.adapter = Adapter(self.capabilities)
        self.generation = 1
        self.running = True
        self.serving = True
        self.known = True
        self.names_the_dead = True
        """The adapter knows who it was that runs no more."""
        self.stillborn = False
        """What is started dies before anybody can look."""
        self.seen_generation = 1
        self.masks = True
        """Readings use nothing older than the first sight of the present incarnation."""
        self.clean_since: float | None = None
        self.lease_held = True
        self.lease = HeldLease()
        self.fleet_agrees = True
        self.settled: dict[str, bool] = {}
        self.stops: list[str] = []
        self.records: list[Record] = []
        self.notices: list[Notice] = []
        self.holding = False
        self.files = {SERVED: GOOD}
        """What the weights in each directory read."""
        self.declared = SERVED
        self.memory = GOOD
        """What the weights in the engine's memory read; "" when they cannot be read."""
        self.read_because: list[str] = []
        self.rounds = 0
        self.canaries: list[str] = []
        self.log: list[Effect] = []
        self.die_before: type | None = None
        """Crash between the commit and the first effect of this type."""
        self.died = 0

    # ── driving ─────────────────────────────────────────────────────────────────────────────────

    def start(self, fault: str = "") -> Stage:
        self.send(Started(fault))
        return self

    def crash(self) -> None:
        """SIGKILL and a new process: only the committed state comes back."""
        self.state = decode(self.disk)
        self.send(Started())

    def tick(self, times: int = 1, seconds: float = 1.0) -> Stage:
        for _ in range(times):
            self.clock.advance(seconds)
            self.look()
            self.evaluate()
        return self

    def until(self, *states: IncidentState, within: int = 400) -> Incident:
        """Tick until the incident (or the last closed one) is in one of these states."""
        for _ in range(within):
            incident = self.newest
            if incident and incident.state in states:
                return incident
            self.tick()
        raise AssertionError(f"never {states}; it is {self.newest}")

    def look(self) -> None:
        named = self.known and (self.running or self.names_the_dead)
        if self.masks and named and self.generation != self.seen_generation:
            self.clean_since, self.seen_generation = self.clock.now().boot, self.generation
        dead = self.known and not self.running
        self.send(
            EngineObserved(
                EngineSeen(
                    at=self.clock.now().boot,
                    known=self.known,
                    because="exit status 137" if dead else "" if self.known else "the adapter did not answer",
                    incarnation=self.incarnation if self.running and self.known else None,
                    ended=self.incarnation if dead and self.names_the_dead else None,
                    serving=self.serving and self.running and self.known,
                )
            )
        )

    def evaluate(self) -> None:
        now = self.clock.now().boot
        self.send(
            Evidence(
                verdicts=tuple(rule.says(now) for rule in self.rules),
                window_clean_since=self.clean_since,
                lease=self.lease if self.lease_held else None,
            )
        )

    def command(self, verb: str, **more: Any) -> None:
        self.send(Commanded(verb=verb, author="ann", **more))

    def send(self, event: Event) -> tuple[Effect, ...]:
        """One step: decide, commit, then do what is wanted; what comes back is sent in turn."""
        self.state, effects = decide(
            self.state, event, self.clock.now(), self.settings, self.capabilities, self.participants
        )
        self.disk = encode(self.state)
        for effect in effects:
            if isinstance(effect, Record):
                msgspec.json.encode(effect.body)  # whatever is recorded can be written down
                self.records.append(effect)
            elif isinstance(effect, Tell):
                self.notices.append(effect.notice)
        for effect in effects:
            self.log.append(effect)
            if self.die_before and isinstance(effect, self.die_before):
                self.die_before = None
                self.died += 1
                self.crash()
                break
            self.perform(effect)
        return effects

    def perform(self, effect: Effect) -> None:
        match effect:
            case Reserve(op_id=op_id) if self.adapter.answers:
                self.send(Reserved(op_id, self.fleet_agrees))
            case Settle(op_id=op_id, spent=spent):
                self.settled[op_id] = spent
            case Collect(op_id=op_id) if self.adapter.answers:
                self.send(EvidenceCollected(op_id, f"bundle-of-{op_id}"))
            case StopEngine(reason=reason):
                self.stops.append(reason)
            case HoldTraffic(op_id=op_id):
                self.holding = True
                if self.adapter.answers:
                    self.send(Drained(op_id, 0))
            case ReleaseTraffic():
                self.holding = False
            case Dispatch(plan=plan):
                self.execute(plan)
            case AskStatus(op_id=op_id) if self.adapter.answers:
                self.send(StatusAnswered(op_id, self.answer(op_id)))
            case RaiseFence(token=token) if self.adapter.answers:
                self.adapter.highest_fence = max(token, self.adapter.highest_fence)
                self.send(Fenced(token, confirmed=True))
            case ReadWeights(why=why):
                self.read_because.append(why)
                if self.adapter.answers:
                    self.send(ReadBack(self.weights()))
            case SendCanary(why=why):
                self.canaries.append(why)
                self.send_canary()

    def execute(self, plan: Plan) -> None:
        self.adapter.sends[plan.op_id] += 1
        self.adapter.plans.append(plan)
        if self.adapter.carries_out:
            self.adapter.executions[plan.op_id] += 1
            if plan.verb is Verb.ROLLBACK:
                self.memory = self.files.get(plan.checkpoint, "")
            else:
                self.restart_engine()
            for rule in self.rules:
                helped = self.cures and (rule.cure is not Cure.ROLLBACK or self.memory == GOOD)
                if self.running if rule.reading == ABSENT else helped:
                    rule.verdict = Verdict.OK
        if self.adapter.answers:
            self.send(ExecuteReplied(plan.op_id, Reply(self.adapter.reply, f"said {self.adapter.reply}")))

    def answer(self, op_id: str) -> Answer:
        if self.adapter.status is not None:
            return self.adapter.status
        if not self.capabilities.idempotent_durable:
            return Answer.CANNOT_TELL
        return Answer.DONE if self.adapter.executions[op_id] else Answer.NOT_DONE

    def send_canary(self) -> None:
        now = self.clock.now().boot
        self.send(Canaried(CanaryEnded(at=now, id="canary", started_at=now, outcome=self.canary, seconds=0.25)))

    def weights(self) -> CheckpointSeen:
        because = "" if self.memory else "its weights cannot be read back"
        return CheckpointSeen(at=self.clock.now().boot, declared=self.declared, observed=self.memory, because=because)

    def round(self, clean: bool | None = True) -> Stage:
        """One canary round ends."""
        self.rounds += 1
        now = self.clock.now().boot
        self.send(Rounded(CanaryRound(at=now, round=self.rounds, asked=3, answered=3, clean=clean)))
        return self

    def drift(self) -> Stage:
        """Other weights are loaded into the running engine, and its rule says so from the next look on."""
        self.memory = OTHER
        return self.breach()

    def restart_engine(self) -> None:
        self.memory = self.files[self.declared]
        self.generation += 1
        self.running = not self.stillborn

    def kill_engine(self) -> Stage:
        """SIGKILL from somewhere; its rule, where the stage has one, says so from the next look on."""
        self.running = False
        for rule in self.rules:
            if rule.reading == ABSENT:
                rule.verdict = Verdict.BREACH
        return self

    # ── scenery ─────────────────────────────────────────────────────────────────────────────────

    @property
    def incarnation(self) -> Incarnation:
        return self.named(self.generation)

    def named(self, generation: int) -> Incarnation:
        return Incarnation("4711", f"t{generation}", self.clock.now().boot_id)

    @property
    def rule(self) -> Rule:
        return self.rules[0]

    def breach(self, *names: str) -> Stage:
        for rule in self.rules:
            if not names or rule.name in names:
                rule.verdict = Verdict.BREACH
        return self

    def well(self) -> Stage:
        for rule in self.rules:
            rule.verdict = Verdict.OK
        return self

    def quiet(self) -> Stage:
        """Past the start-up grace, everything fine."""
        return self.start().tick(12)

    def blessed(self) -> Stage:
        """Past the start-up grace, everything fine, and a person has blessed what is in memory."""
        self.quiet().command("bless", reason="released")
        assert self.state.checkpoints.is_blessed
        return self

    def acting(self) -> Stage:
        """A breach, and the machine does something about it until something stops it."""
        self.quiet().breach().tick(2)
        return self

    # ── what a test looks at ────────────────────────────────────────────────────────────────────

    @property
    def newest(self) -> Incident | None:
        return self.state.incident or (self.state.recent[0] if self.state.recent else None)

    @property
    def incident(self) -> Incident:
        assert self.newest is not None
        return self.newest

    def phase(self) -> IncidentState:
        """Where the incident is."""
        return self.incident.state

    def phase_or_none(self) -> IncidentState | None:
        return self.newest.state if self.newest else None

    def outcome(self) -> ActionState:
        """Where the newest action is."""
        return self.state.actions[-1].state

    @property
    def effects(self) -> int:
        """What the engine felt, all told."""
        return sum(self.adapter.executions.values())

    def kinds(self, prefix: str = "") -> list[str]:
        return [record.kind for record in self.records if record.kind.startswith(prefix)]

    def records_of(self, kind: str) -> list[Record]:
        return [record for record in self.records if record.kind == kind]

    def notices_of(self, kind: NoticeKind) -> list[Notice]:
        return [notice for notice in self.notices if notice.kind is kind]

    @property
    def held_by(self) -> set[str]:
        return {str(refusal.gate) for refusal in self.incident.held}
