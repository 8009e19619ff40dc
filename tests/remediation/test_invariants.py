"""The invariants of remediation under any history: crashes, late and doubled messages, reboots, lies, clocks.

The world keeps its own books (true time, effects by op_id, the journal as committed) and never looks at the machine's
memory to decide what was right. Messages to the adapter travel: they may arrive late, twice, or never, also after the
process that sent them died.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.remediation.scenes import EVERYBODY
from tests.remediation.stage import CLASS_A, CLASS_B, CLASS_C, GOOD, OTHER, SERVED, Rule, limits
from watchtower.remediation.decision import decide
from watchtower.remediation.interface import (
    NOBODY,
    Approved,
    AskStatus,
    Canaried,
    Collect,
    Commanded,
    Denied,
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
    SendCanary,
    Settle,
    Started,
    StatusAnswered,
    StopEngine,
    StorageFailed,
    Tell,
)
from watchtower.remediation.proposal import ABSENT
from watchtower.remediation.snapshots import decode, encode
from watchtower.remediation.state import HeldLease, TargetState
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.actions import Answer, Capabilities, Cure, Incarnation, Mode, Plan, Reply, ReplyKind, Verb
from watchtower.vocabulary.facts import CanaryEnded, CanaryOutcome, CheckpointSeen, EngineSeen
from watchtower.vocabulary.incidents import IncidentState, NoticeKind
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.readings import Verdict

LIMITS = limits(
    startup_grace_seconds=5,
    cooldown_seconds=5,
    cooldown_cap_seconds=10,
    restarts_per_hour=2,
    restarts_per_day=3,
    attempts_per_rung=2,
    attempts_per_incident=3,
    breaker_failures=3,
    flap_cycles=4,
    rollbacks_per_day=2,
)
HOUR, DAY = 3600.0, 86400.0
FINAL = {"not_executed", "cancelled", "rejected", "effective", "ineffective", "inconclusive", "harmful", "ambiguous"}


class World(RuleBasedStateMachine):
    """One target, one adapter, one journal, and everything that can go wrong with them."""

    @initialize(
        capabilities=st.sampled_from([CLASS_A, CLASS_B, CLASS_C]),
        participants=st.sampled_from([NOBODY, EVERYBODY, Participants(fleet=True), Participants(collector=True)]),
    )
    def begin(self, capabilities: Capabilities, participants: Participants) -> None:
        self.capabilities = capabilities
        self.participants = participants
        self.limits = LIMITS.model_copy(update={"modes": {"hang": Mode.APPROVE} if participants.approver else {}})
        self.fleet_agrees, self.settled = True, dict[str, bool]()
        self.clock = HandClock()
        self.true = 0.0
        self.boots = self.deaths = 0
        self.state = TargetState(target="engine")
        self.disk = encode(self.state)
        self.todo: list[Effect] = []
        self.inbox: list[Event] = []
        self.network: list[Plan] = []
        self.generation, self.seen_generation, self.running, self.known = 1, 1, True, True
        self.clean_since: float | None = None
        self.lease, self.holding, self.curable = True, False, True
        self.lease_token = 1
        self.symptoms = [
            Rule("slow"),
            Rule("hang", reading="token_progress.stalled"),
            Rule("drift", cure=Cure.ROLLBACK, reading="logprob_shift.mean"),
        ]
        self.memory, self.files, self.reload_breaks = GOOD, GOOD, False
        self.rollbacks, self.compensations = set[str](), Counter[str]()
        self.gone, self.gone_can_be_read, self.stillborn = Rule("engine_gone", reading=ABSENT), True, False
        self.started_true = 0.0
        self.storage_broken = False
        # the adapter's own ledger
        self.effects: Counter[str] = Counter()
        self.fence, self.tombstones = 0, set[str]()
        # what was observed
        self.sent: Counter[str] = Counter()
        self.journal: list[tuple[float, Record]] = []
        self.intents: dict[str, tuple[float, str]] = {}
        self.ended: dict[str, str] = {}
        self.forgiven: Counter[str] = Counter()
        self.ordered = set[str]()
        self.notified: list[str] = []
        self.send(Started())
        self.live(8)

    # ── the runner ──────────────────────────────────────────────────────────────────────────────

    def send(self, event: Event) -> None:
        before = self.state
        self.state, effects = decide(
            self.state, event, self.clock.now(), self.limits, self.capabilities, self.participants
        )
        for effect in effects:
            if isinstance(effect, Record):
                self.journal.append((self.true, effect))
                self.book(effect, event, before)
            elif isinstance(effect, Tell):
                assert "." not in effect.notice.id
                assert len(effect.notice.title) <= 120
                self.notified.append(str(effect.notice.kind))
            else:
                self.todo.append(effect)
        if any(isinstance(effect, Record | Tell) for effect in effects):
            self.disk = encode(self.state)
            assert decode(self.disk) == self.state

    def book(self, record: Record, event: Event, before: TargetState) -> None:
        """Check each decision at the moment it becomes durable."""
        body = record.body
        if record.kind == "action.intent":
            self.intents[body["op_id"]] = (self.true, body["incident"])
            assert not self.storage_broken, "I19: no action without a journal"
            assert self.lease, "I9"
            assert before.action is None or before.action.op_id == body["op_id"] or body.get("compensates"), "I3"
            if body.get("ordered_by"):
                self.ordered.add(body["op_id"])
                assert not body["charged"], "a person's order costs no budget"
                return
            assert before.stopped is None, "a person stopped the engine"
            if body["verb"] == "rollback":
                self.rollbacks.add(body["op_id"])
                known = before.checkpoints
                assert known.blessed, "I14: nothing is blessed"
                assert known.observed, "I14: nobody knows which weights are in memory"
                assert known.observed != known.blessed.digest, "I14: never onto the same weights"
            if body.get("compensates"):
                self.compensations[body["incident"]] += 1
                assert body["compensates"] in self.rollbacks, "only a rollback is made up for"
                assert self.ended[body["compensates"]] == "harmful"
                return
            assert before.pause is None, "pause"
            assert not before.breaker.because, "I10: the breaker is open"
            assert self.true - self.started_true >= LIMITS.startup_grace_seconds, "I12"
            if isinstance(event, Approved | Reserved):
                assert before.action is not None, "what somebody agrees to was planned before"
                assert before.engine.known, "I4: nobody knows what would be restarted"
                assert before.engine.incarnation == before.action.before, "I13: another incarnation than was planned"
                assert before.streaks.get(body["rule"], 0) >= LIMITS.dwell_evaluations, "I13: the evidence is gone"
                return
            assert isinstance(event, Evidence), "I4: only fresh evidence begins an action"
            asking = [v for v in event.verdicts if v.rule == body["rule"]]
            assert [v.verdict for v in asking] == [Verdict.BREACH], "I4, I25: never on UNKNOWN or OK"
            assert asking[0].firing
            assert self.known, "I4: nobody knows what would be restarted"
            assert self.running is (body["rule"] != "engine_gone"), "I4: only the rule for it replaces the dead"
            assert before.engine.incarnation == self.incarnation, "I4: evidence of another incarnation"
        if record.kind.startswith("action.") and (state := record.kind.removeprefix("action.")) in FINAL:
            assert body["op_id"] not in self.ended, "an action ends once"
            self.ended[body["op_id"]] = state
            if not body.get("ordered_by"):
                assert (state in {"not_executed", "cancelled"}) is (not body["charged"]), "I7: refund only if proven"
            if state == "effective" and body["op_id"] in self.rollbacks:
                assert self.state.actions[-1].read_back_at is not None, "a rollback is proven by the weights"
        if record.kind == "incident.escalated":
            assert before.incident is not None

    def perform(self, effect: Effect) -> None:
        match effect:
            case Reserve(op_id=op_id):
                durable = {action.op_id for action in decode(self.disk).actions}
                assert op_id in durable, "durable before the fleet is asked"
                self.inbox.append(Reserved(op_id, self.fleet_agrees))
            case Settle(op_id=op_id, spent=spent):
                assert self.settled.setdefault(op_id, spent) is spent, "what was settled stays settled"
            case Collect(op_id=op_id):
                self.inbox.append(EvidenceCollected(op_id, "bundle"))
            case StopEngine():
                self.running = False
            case HoldTraffic(op_id=op_id):
                self.holding = True
                self.inbox.append(Drained(op_id, 0))
            case ReleaseTraffic():
                self.holding = False
            case Dispatch(plan=plan):
                self.sent[plan.op_id] += 1
                self.network.append(plan)
            case AskStatus(op_id=op_id):
                self.inbox.append(StatusAnswered(op_id, self.status(op_id)))
            case RaiseFence(token=token):
                if self.capabilities.fence:
                    self.fence = max(self.fence, token)
                self.inbox.append(Fenced(token, self.capabilities.fence))
            case ReadWeights():
                now, because = self.clock.now().boot, "" if self.memory else "it does not tell"
                seen = CheckpointSeen(at=now, declared=SERVED, observed=self.memory, because=because)
                self.inbox.append(ReadBack(seen))
            case SendCanary():
                now = self.clock.now().boot
                outcome = CanaryOutcome.SERVED if self.running else CanaryOutcome.REFUSED
                self.inbox.append(Canaried(CanaryEnded(at=now, id="c", started_at=now, outcome=outcome, seconds=0.2)))

    # ── the adapter ─────────────────────────────────────────────────────────────────────────────

    def status(self, op_id: str) -> Answer:
        if not self.capabilities.idempotent_durable:
            return Answer.CANNOT_TELL
        if self.effects[op_id]:
            return Answer.DONE
        self.tombstones.add(op_id)
        return Answer.NOT_DONE

    def arrive(self, plan: Plan, reply: ReplyKind | None) -> None:
        """A plan reaches the adapter, perhaps long after it was sent."""
        refused = (
            (self.capabilities.fence and plan.fence_token < self.fence)
            or (self.capabilities.idempotent_durable and plan.op_id in self.tombstones)
            or (self.capabilities.cas_incarnation and plan.expected_incarnation != self.incarnation)
        )
        if refused:
            self.inbox.append(ExecuteReplied(plan.op_id, Reply(ReplyKind.REJECTED, "refused")))
            return
        if not (self.capabilities.idempotent_durable and self.effects[plan.op_id]):
            assert plan.op_id in self.intents, "I1: an effect without a durable intent"
            self.effects[plan.op_id] += 1
            if plan.verb is Verb.ROLLBACK:
                assert plan.digest and plan.checkpoint == SERVED, "I14"
                self.memory = "" if self.reload_breaks else self.files
                reply = ReplyKind.FAILED if self.reload_breaks and reply is ReplyKind.ACKED else reply
            else:
                self.restart()
            if self.curable:
                self.set_verdicts(Verdict.OK)
        if reply is not None:
            self.inbox.append(ExecuteReplied(plan.op_id, Reply(reply, "as told")))

    @property
    def incarnation(self) -> Incarnation:
        return Incarnation("4711", f"t{self.generation}", f"boot-{self.boots}")

    def restart(self) -> None:
        self.memory = self.files
        self.generation += 1
        self.running = not self.stillborn

    def set_verdicts(self, verdict: Verdict) -> None:
        for symptom in self.symptoms:
            symptom.verdict = verdict

    # ── time ────────────────────────────────────────────────────────────────────────────────────

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.true += seconds

    def tick(self, seconds: float = 1.0) -> None:
        self.pass_time(seconds)
        now = self.clock.now().boot
        if self.known and self.generation != self.seen_generation:
            self.clean_since, self.seen_generation = now, self.generation
        if self.gone_can_be_read:
            self.gone.verdict = Verdict.UNKNOWN if not self.known else Verdict.OK if self.running else Verdict.BREACH
        self.send(
            EngineObserved(
                EngineSeen(
                    at=now,
                    known=self.known,
                    incarnation=self.incarnation if self.known and self.running else None,
                    ended=self.incarnation if self.known and not self.running else None,
                    serving=self.known and self.running,
                )
            )
        )
        self.send(
            Evidence(
                verdicts=tuple(symptom.says(now) for symptom in (*self.symptoms, self.gone)),
                window_clean_since=self.clean_since,
                lease=HeldLease(token=self.lease_token) if self.lease else None,
            )
        )

    def deliver(self) -> None:
        for _ in range(30):
            if self.todo:
                self.perform(self.todo.pop(0))
            elif self.network:
                self.arrive(self.network.pop(0), ReplyKind.ACKED)
            elif self.inbox:
                self.send(self.inbox.pop(0))
            else:
                return

    # ── what can happen ─────────────────────────────────────────────────────────────────────────

    @rule(times=st.integers(1, 25))
    def live(self, times: int) -> None:
        """Everything works: messages arrive at once."""
        for _ in range(times):
            self.tick()
            self.deliver()

    @rule(times=st.integers(2, 5), deliver=st.booleans(), curable=st.booleans())
    def engine_falls_ill(self, times: int, deliver: bool, curable: bool) -> None:
        self.curable = curable
        for symptom in self.symptoms:
            symptom.verdict, symptom.firing = Verdict.BREACH, None
        for _ in range(times):
            self.tick()
            if deliver:
                self.deliver()

    @rule(
        how=st.sampled_from(
            ["dead at intent", "dead before sending", "dead after sending", "lost", "late", "refused", "lie", "silence"]
        ),
        then=st.sampled_from([0, 3, 12, 30]),
    )
    def cure_goes_wrong(self, how: str, then: int) -> None:
        """Straight to where it hurts: an action under way, and something goes wrong with it."""
        self.deliver()
        self.engine_falls_ill(3, False, True)
        if how != "dead at intent":
            self.todo, now = [], list(self.todo)
            for effect in now:
                self.perform(effect)
            for event in self.inbox[:]:
                self.inbox.remove(event)
                self.send(event)
        if not how.startswith("dead b"):
            self.do_some(len(self.todo))
        match how:
            case "dead at intent" | "dead before sending" | "dead after sending":
                self.come_up_again(0.0)
            case "lost" | "late" if self.network:
                self.reply_is_unclear(how == "late")
            case "refused" | "lie" if self.network:
                if how == "lie":
                    self.arrive(self.network[0], None)
                self.inbox.append(ExecuteReplied(self.network.pop(0).op_id, Reply(ReplyKind.REJECTED, "refused")))
        for _ in range(then):
            self.tick()
            while self.todo:
                self.perform(self.todo.pop(0))
            while self.inbox:
                self.send(self.inbox.pop(0))

    @rule(times=st.integers(1, 4), seconds=st.sampled_from([1.0, 4.0, 25.0, 70.0]))
    def drag(self, times: int, seconds: float) -> None:
        """Time passes, and nobody delivers anything."""
        for _ in range(times):
            self.tick(seconds)

    @rule(hours=st.sampled_from([0.6, 1.1, 7.0, 25.0]))
    def night(self, hours: float) -> None:
        self.tick(hours * HOUR)

    @precondition(lambda self: self.todo)
    @rule(count=st.integers(1, 4))
    def do_some(self, count: int) -> None:
        for _ in range(min(count, len(self.todo))):
            self.perform(self.todo.pop(0))

    @precondition(lambda self: self.network)
    @rule(reply=st.sampled_from([ReplyKind.ACKED, ReplyKind.UNKNOWN, ReplyKind.REJECTED, None]), again=st.booleans())
    def plan_arrives(self, reply: ReplyKind | None, again: bool) -> None:
        """Also with a lie for an answer; to a durable adapter also twice."""
        plan = self.network[0] if again and self.capabilities.idempotent_durable else self.network.pop(0)
        self.arrive(plan, reply)

    @precondition(lambda self: self.network)
    @rule(late=st.booleans())
    def reply_is_unclear(self, late: bool) -> None:
        """The plan is lost, or only late: it may still arrive when everybody has given it up."""
        plan = self.network[0] if late else self.network.pop(0)
        self.inbox.append(ExecuteReplied(plan.op_id, Reply(ReplyKind.UNKNOWN, "connection reset")))

    @precondition(lambda self: self.inbox)
    @rule(which=st.integers(0, 20), fate=st.sampled_from(["comes", "comes", "comes", "twice", "lost"]))
    def answer_arrives(self, which: int, fate: str) -> None:
        event = self.inbox.pop(which % len(self.inbox))
        for _ in range({"lost": 0, "comes": 1, "twice": 2}[fate]):
            self.send(event)

    @rule(wait=st.sampled_from([0.0, 2.0, 300.0]), grace=st.booleans())
    def watchtower_dies(self, wait: float, grace: bool) -> None:
        """Between any commit and its effects: only the snapshot survives, and what is already on the way."""
        self.come_up_again(wait)
        if grace:
            self.live(6)

    def come_up_again(self, wait: float, fault: str = "") -> None:
        self.todo, self.inbox = [], []
        self.deaths += 1
        self.pass_time(wait)
        self.state = decode(self.disk)
        self.started_true, self.storage_broken = self.true, bool(fault)
        self.send(Started(fault))

    @rule(verdict=st.sampled_from(list(Verdict)), firing=st.sampled_from([None, None, False]), only=st.integers(0, 3))
    def readings_change(self, verdict: Verdict, firing: bool | None, only: int) -> None:
        for index, symptom in enumerate(self.symptoms):
            if only in (index, 3):
                symptom.verdict, symptom.firing = verdict, firing

    @rule(what=st.sampled_from(["restarts", "dies", "hides"]), times=st.integers(1, 3))
    def engine_does(self, what: str, times: int) -> None:
        match what:
            case "restarts":
                self.restart()
            case "dies":
                self.running = False
            case _:
                self.known = False
        self.drag(times, 1.0)
        self.known = True
        if not self.running and times > 1:
            self.restart()

    @rule(
        memory=st.sampled_from([OTHER, OTHER, GOOD, ""]),
        files=st.sampled_from([GOOD, GOOD, OTHER]),
        breaks=st.booleans(),
        times=st.integers(1, 25),
    )
    def weights_are_swapped(self, memory: str, files: str, breaks: bool, times: int) -> None:
        """Others are in memory, perhaps others on disk, and perhaps a reload breaks what is in memory."""
        self.send(Commanded(verb="bless", author="ann", reason="released"))
        self.memory, self.files, self.reload_breaks = memory, files, breaks
        self.symptoms[2].verdict, self.symptoms[2].firing = Verdict.BREACH, None
        self.live(times)
        self.files = GOOD

    @rule(again=st.booleans(), times=st.integers(1, 25))
    def engine_dies(self, again: bool, times: int) -> None:
        """And nobody else starts one; with ``again`` whatever is started dies at once."""
        self.running, self.stillborn = False, again
        self.live(times)
        self.stillborn = False

    @rule(
        what=st.sampled_from(["reboot", "wall", "wall", "lease", "disk", "fault at start"]),
        jump=st.sampled_from([3600.0, -3600.0, 86400.0, -1.7e9]),
        up=st.sampled_from([1.0, 60.0, 5000.0]),
    )
    def house_shakes(self, what: str, jump: float, up: float) -> None:
        """Host, clock, disk, lease; each is put right again, because a broken house proves little."""
        now = self.clock.now()
        match what:
            case "reboot":
                self.true += up + max(0.0, jump)
                self.boots += 1
                self.clock = HandClock(boot=up, wall=max(0.0, now.wall + jump), boot_id=f"boot-{self.boots}")
                self.network, self.clean_since, self.running = [], up, True
                for symptom in (*self.symptoms, self.gone):
                    symptom.since = None
                self.come_up_again(0.0)
            case "wall":
                self.clock = HandClock(now.boot, max(0.0, now.wall + jump), now.boot_id)
            case "lease":
                self.lease = False
                self.live(3)
                self.lease, self.lease_token = True, self.lease_token + 1
            case "disk":
                self.storage_broken = True
                self.send(StorageFailed("disk full"))
                self.live(3)
                self.come_up_again(1.0)
            case _:
                self.come_up_again(1.0, "hash chain broken")
                self.live(7)
                self.come_up_again(1.0)

    @rule(minutes=st.integers(1, 3))
    def person_pauses(self, minutes: int) -> None:
        self.send(Commanded(verb="pause", author="ann", reason="deploy", seconds=20.0 * minutes))

    @rule(resolve=st.booleans())
    def person_puts_everything_right(self, resolve: bool) -> None:
        incident = self.state.incident
        if incident and incident.state is IncidentState.ESCALATED and not resolve:
            self.forgiven[incident.id] = sum(who == incident.id for _, who in self.intents.values())
        for verb in ("resume", "breaker_reset", "ack_resolve" if resolve else "ack_resume"):
            self.send(Commanded(verb=verb, author="ann", reason="looked at it"))

    @rule(answer=st.sampled_from(["yes", "yes", "yes", "no", "something else"]), times=st.integers(0, 12))
    def person_is_asked(self, answer: str, times: int) -> None:
        """A breach of the rule that needs approval; the person thinks for a while, and the world goes on."""
        self.deliver()
        self.symptoms[1].verdict, self.symptoms[1].firing = Verdict.BREACH, None
        self.drag(3, 1.0)
        action = self.state.action
        if action is None or action.approval is None:
            return
        self.drag(times, 1.0)
        if answer == "no":
            self.send(Denied(action.op_id, "ann", "not now"))
        else:
            digest = action.approval.digest if answer == "yes" else "0" * 24
            self.send(Approved(action.op_id, digest, "ann"))

    @rule(verb=st.sampled_from(["restart", "restart", "start", "stop"]), times=st.integers(0, 20))
    def person_orders(self, verb: str, times: int) -> None:
        self.send(Commanded(verb=verb, author="ann", reason="new driver"))
        self.live(times)
        if self.state.stopped:
            self.send(Commanded(verb="start", author="ann", reason="done"))

    @rule(agrees=st.booleans())
    def fleet_changes_its_mind(self, agrees: bool) -> None:
        self.fleet_agrees = agrees

    # ── what must hold ──────────────────────────────────────────────────────────────────────────

    @invariant()
    def one_effect_and_one_sending_for_each_op(self) -> None:
        assert max(self.effects.values(), default=0) <= 1, "I2"
        assert max(self.sent.values(), default=0) <= 1, "I5"

    @invariant()
    def one_action_at_a_time(self) -> None:
        if hasattr(self, "state"):
            flying = [action for action in self.state.actions if not action.over]
            assert len(flying) <= 1, "I3"
            busy = self.state.incident is not None and self.state.incident.state in {
                IncidentState.ACTING,
                IncidentState.VERIFYING,
            }
            ruled = [action for action in flying if not action.ordered]
            assert busy is bool(ruled), "an action belongs to an incident that says so"

    @invariant()
    def what_was_refunded_was_never_felt(self) -> None:
        if not hasattr(self, "ended"):
            return
        for op_id, state in self.ended.items():
            if state in {"not_executed", "cancelled"}:
                assert self.effects[op_id] == 0, "I7: refunded, and it happened"

    @invariant()
    def no_window_holds_more_than_the_budget(self) -> None:
        if not hasattr(self, "intents"):
            return
        counted = {
            op_id: at
            for op_id, (at, _) in self.intents.items()
            if self.ended.get(op_id) not in {"not_executed", "cancelled"} and op_id not in self.ordered
        }
        spent = sorted(at for op_id, at in counted.items() if op_id not in self.rollbacks)
        rolled = sorted(at for op_id, at in counted.items() if op_id in self.rollbacks)
        for at in rolled:
            assert sum(at <= other < at + DAY for other in rolled) <= LIMITS.rollbacks_per_day, "I6"
        for window, limit in ((HOUR, LIMITS.restarts_per_hour), (DAY, LIMITS.restarts_per_day)):
            for at in spent:
                assert sum(at <= other < at + window for other in spent) <= limit, "I6"

    @invariant()
    def attempts_are_never_forgotten_by_themselves(self) -> None:
        if hasattr(self, "intents"):
            for incident, count in Counter(who for _, who in self.intents.values() if who).items():
                allowed = LIMITS.attempts_per_incident + self.compensations[incident]
                assert count - self.forgiven[incident] <= allowed, "I8"

    @invariant()
    def an_incident_has_one_compensation_at_most(self) -> None:
        if hasattr(self, "compensations"):
            assert max(self.compensations.values(), default=0) <= 1

    @invariant()
    def the_journal_tells_where_the_incident_is(self) -> None:
        if not hasattr(self, "journal"):
            return
        moves = [
            record.kind.removeprefix("incident.")
            for _, record in self.journal
            if record.kind.startswith("incident.") and record.kind.count(".") == 1
        ]
        states = [move for move in moves if move in set(IncidentState)]
        current = str(self.state.incident.state) if self.state.incident else None
        assert (states[-1] if states else "clear") == (current or (states[-1] if states else "clear")), "I22"
        if self.state.incident is None and states:
            assert states[-1] in {"clear", "resolved"}, "I22"

    @invariant()
    def every_escalation_was_told(self) -> None:
        if hasattr(self, "journal"):
            recorded = sum(record.kind == "incident.escalated" for _, record in self.journal)
            assert recorded == self.notified.count(str(NoticeKind.ESCALATED)), "I17"

    @invariant()
    def marks_lie_in_the_past_of_this_boot(self) -> None:
        if hasattr(self, "state"):
            now: Instant = self.clock.now()
            assert self.state.boot_id == now.boot_id, "I21"
            assert all(action.started_at <= now.boot for action in self.state.actions), "I21"

    def at_rest(self) -> bool:
        state, incident = self.state, self.state.incident
        if state.action or state.pause or self.holding:
            return False
        if incident is None or incident.state is IncidentState.ESCALATED:
            return True
        return incident.state is IncidentState.HELD and bool(state.stopped or not incident.curative)

    def teardown(self) -> None:
        """I16: with an adapter that never answers again and readings that say nothing, everything still ends."""
        if not hasattr(self, "state"):
            return
        self.set_verdicts(Verdict.UNKNOWN)
        self.gone.verdict, self.gone_can_be_read = Verdict.UNKNOWN, False
        self.inbox, self.network = [], []
        at_rest = 0
        for _ in range(600):
            self.tick(2.0)
            for effect in self.todo:
                if isinstance(effect, ReleaseTraffic | Settle):
                    self.perform(effect)
            self.todo = [effect for effect in self.todo if not isinstance(effect, ReleaseTraffic | Settle)]
            at_rest = at_rest + 1 if self.at_rest() else 0
            if at_rest == 60:  # two minutes without a change, and without anything that could still bring one
                break
        assert self.state.action is None, "I16: an action that never ends"
        incident = self.state.incident
        assert incident is None or incident.state in {IncidentState.ESCALATED, IncidentState.HELD}, "I16"
        if incident and incident.state is IncidentState.HELD:
            chosen = self.state.pause or self.state.stopped or not incident.curative
            assert chosen, "I16: held for ever, and nobody chose it"
        unsettled = {action.op_id for action in self.state.actions if action.fleet_asked} - set(self.settled)
        assert not unsettled or self.deaths, "a place in the fleet is kept for ever"
        assert not self.holding, "traffic is still held, and nothing is under way"


TestInvariants = World.TestCase
TestInvariants.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
