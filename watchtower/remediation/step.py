"""One step of the machine under way: the state so far and the effects so far.

``decide`` makes one, hands it from concern to concern, and takes the result out; nothing else ever sees it, so the
machine as a whole stays a pure function. Names (``inc-…``, ``op-…``, ``ntc-…``) are hashes of target, counter, boot id
and time: derived, short, typeable, never random.
"""

from __future__ import annotations

from hashlib import blake2s
from typing import Any

import msgspec

from watchtower.remediation.interface import NOBODY, Effect, Participants, Record, Tell
from watchtower.remediation.state import Action, ByPerson, Incident, TargetState
from watchtower.settings import RemediationSettings
from watchtower.vocabulary.actions import ActionState, Capabilities
from watchtower.vocabulary.incidents import IncidentState, Notice, NoticeKind, Refusal
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.readings import Severity

TITLE_LIMIT = 120


class Step:
    """State and effects of one ``decide``."""

    def __init__(
        self,
        state: TargetState,
        now: Instant,
        limits: RemediationSettings,
        capabilities: Capabilities,
        participants: Participants = NOBODY,
    ) -> None:
        self.state = state
        self.now = now
        self.limits = limits
        self.capabilities = capabilities
        self.participants = participants
        self.effects: list[Effect] = []

    def want(self, *effects: Effect) -> None:
        self.effects.extend(effects)

    def record(self, kind: str, **body: Any) -> None:
        self.want(Record(kind, body))

    def put(self, **changes: Any) -> None:
        self.state = msgspec.structs.replace(self.state, **changes)

    def derive(self, prefix: str, digits: int) -> str:
        """A name never given before on this target."""
        self.put(counter=self.state.counter + 1)
        seed = f"{self.state.target}|{self.state.counter}|{self.now.boot_id}|{self.now.boot:.6f}"
        return f"{prefix}-{blake2s(seed.encode()).hexdigest()[:digits]}"

    # ── the incident ────────────────────────────────────────────────────────────────────────────

    @property
    def incident(self) -> Incident:
        """The current one; asking without one is a defect of the machine."""
        if self.state.incident is None:
            raise LookupError("there is no current incident")
        return self.state.incident

    def amend(self, **changes: Any) -> Incident:
        """Change the incident without moving it."""
        self.put(incident=msgspec.structs.replace(self.incident, **changes))
        return self.incident

    def move(self, to: IncidentState, why: str, **changes: Any) -> Incident:
        """The incident enters ``to``: recorded, with the sentence that explains it."""
        origin = self.incident.state
        if to is not IncidentState.HELD:
            changes = {"held": (), "held_since": None, "held_evaluations": 0} | changes
        incident = self.amend(state=to, why=why, entered_at=self.now.boot, **changes)
        body: dict[str, Any] = {
            "incident": incident.id,
            "from": str(origin),
            "why": why,
            "rules": list(incident.rules),
            "gates": gates_of(incident.held),
        }
        self.record(f"incident.{to}", **body)
        return incident

    def once(self, key: str) -> bool:
        """True the first time this incident asks."""
        if key in self.incident.notified:
            return False
        self.amend(notified=(*self.incident.notified, key))
        return True

    # ── the action ──────────────────────────────────────────────────────────────────────────────

    @property
    def action(self) -> Action:
        """The newest one; asking without one is a defect of the machine."""
        return self.state.actions[-1]

    def revise(self, **changes: Any) -> Action:
        """Change the action without moving it."""
        self.put(actions=(*self.state.actions[:-1], msgspec.structs.replace(self.action, **changes)))
        return self.action

    def advance(
        self, to: ActionState, because: str = "", *, detail: dict[str, Any] | None = None, **changes: Any
    ) -> Action:
        """The action enters ``to``: recorded, with ``detail`` beside the usual."""
        origin = self.action.state
        action = self.revise(state=to, because=because, **({"entered_at": self.now.boot} | changes))
        body: dict[str, Any] = {
            "op_id": action.op_id,
            "incident": action.incident,
            "rule": action.rule,
            "verb": str(action.verb),
            "attempt": action.attempt,
            "from": str(origin),
            "because": because,
            "charged": action.charged,
            "before": str(action.before or ""),
            "after": str(action.after or ""),
            "verified_by": list(action.verified_by),
        }
        if isinstance(action.origin, ByPerson):
            body |= {"ordered_by": action.origin.name}
        self.record(f"action.{to}", **(body | (detail or {})))
        return action

    def awaited(self, op_id: str, *states: ActionState) -> bool:
        """The action this answer belongs to waits for it."""
        action = self.state.action
        return action is not None and action.op_id == op_id and action.state in states

    def ignore(self, what: str, op_id: str) -> None:
        """Late, duplicate and foreign answers change nothing, and are on record."""
        self.record("action.ignored", op_id=op_id, what=what, because="no action in flight waits for it")

    # ── people ──────────────────────────────────────────────────────────────────────────────────

    def tell(self, kind: NoticeKind, text: str, *, severity: str = "", subject: str = "", release: str = "") -> None:
        """A notice about the current incident, or about ``subject`` when there is none.

        Before the first " · " stands what is wrong: it is the title. After it stands what is new. ``release``: the
        command that lets the machine go on.
        """
        incident = self.state.incident
        about = subject or self.incident.id
        what, _, news = text.partition(" · ")
        what = what.rstrip(".")
        self.want(
            Tell(
                Notice(
                    id=self.derive("ntc", 16),
                    kind=kind,
                    target=self.state.target,
                    incident=about,
                    wall=self.now.wall,
                    severity=severity or self.incident.severity,
                    title=shortened(f"{self.state.target} {kind.replace('_', ' ')}: {what}"),
                    text=f"{what}. {news}" if news else f"{what}.",
                    next_command="watchtower status" if subject else f"watchtower explain {about}",
                    state=incident.state if incident else IncidentState.CLEAR,
                    what=what,
                    news=news,
                    since=0.0 if subject else self.incident.opened_wall,
                    details={} if subject else self._details() | ({"release": release} if release else {}),
                )
            )
        )

    def report_order(self, kind: NoticeKind, text: str) -> None:
        """A notice about a person's order: it belongs to no incident."""
        self.tell(kind, text, severity=str(Severity.INFO), subject=f"order-{self.state.target}")

    def _details(self) -> dict[str, str]:
        """What else is known of the incident, for people."""
        details = {"rules": ", ".join(self.incident.rules), "mode": str(self.limits.mode)}
        mine = [action for action in self.state.actions if action.incident == self.incident.id]
        if mine:
            newest = mine[-1]
            details["action"] = f"{newest.verb}, attempt {newest.attempt}: {newest.state.replace('_', ' ')}"
            details["outcome"] = str(newest.state)
        return details

    def clock(self, mark: float) -> str:
        """A mark as the time of day people compare with their own logs (UTC)."""
        return self.now.later(mark - self.now.boot).iso()[11:19] + " UTC"


def gates_of(refusals: tuple[Refusal, ...]) -> list[dict[str, str]]:
    return [{"gate": str(refusal.gate), "because": refusal.because} for refusal in refusals]


def sentence_of(refusals: tuple[Refusal, ...]) -> str:
    """All the reasons, most general first, as one clause."""
    return "; ".join(refusal.because for refusal in refusals)


def shortened(title: str) -> str:
    return title if len(title) <= TITLE_LIMIT else title[: TITLE_LIMIT - 1] + "…"
