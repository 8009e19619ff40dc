"""What the machine has to know of a verb. Nobody asks which verb it is: they ask its remedy.

A remedy is a value: who may ask for it, what it costs, how long it may take, which gates it adds, what proves it, what
makes up for it. How it is proven is a value of its own (``Proof``), because verbs share proofs.

Choice: a remedy answers, and the machine acts on the answer. It never ends an action itself, so the ways out of every
verb stand in one place (``conclusion``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from watchtower.remediation.checkpoint_registry import Checkpoints
from watchtower.remediation.proposal import Gate
from watchtower.remediation.state import Action
from watchtower.remediation.step import Step
from watchtower.remediation.terms import Terms
from watchtower.settings import RemediationSettings
from watchtower.vocabulary.actions import ActionState, Cure, Verb
from watchtower.vocabulary.facts import CheckpointSeen, EngineSeen


@dataclass(frozen=True)
class Conclusion:
    """The action is over, and was not proven effective."""

    state: ActionState
    because: str
    external: bool = False
    """Somebody else had a hand in it."""


@dataclass(frozen=True)
class Executed:
    """It was carried out after all, whatever the reply was."""

    because: str


@dataclass(frozen=True)
class Proven:
    """What was to be brought about is there; now it has to serve."""

    because: str


@dataclass(frozen=True)
class Aim:
    """What the action is to bring about besides a healthy engine; frozen with it."""

    checkpoint: str = ""
    """Path of the weights to load; "" where no weights are loaded on purpose."""
    digest: str = ""
    """What they must read afterwards."""
    digest_before: str = ""
    words: str = ""
    """For people: follows "on <incarnation>"."""


@dataclass(frozen=True)
class Allowance:
    """At most ``limit`` charged actions in any ``seconds``."""

    window: str
    """``hour``, ``24 h``: as people read it."""
    seconds: float
    limit: int


class ProofOfEffect(Protocol):
    """How it is seen that a verb had its effect. An acknowledgement never proves anything."""

    name: str
    """First word of "proven by …, canary and readings"."""
    reads_from: frozenset[ActionState]
    """States in which an action that names a digest waits for the weights to be read."""

    def follow(self, step: Step) -> None:
        """ACKED: note what is new, and have it prove itself with a canary once it serves."""
        ...

    def seen(self, action: Action, fact: EngineSeen) -> Conclusion | Executed | None:
        """The adapter looked, after the plan may have been sent. None: nothing new."""
        ...

    def read(self, action: Action, fact: CheckpointSeen) -> Conclusion | Proven | None:
        """The weights were read back, while RECONCILE or ACKED. None: says nothing."""
        ...

    def never_ready(self, action: Action) -> Conclusion:
        """ACKED for too long."""
        ...

    def who(self, action: Action) -> str:
        """What has to serve, in a sentence."""
        ...

    def evidence(self, action: Action) -> tuple[str, ...]:
        """EFFECTIVE: the proof in words. The last one begins with what has served the canary."""
        ...


@dataclass(frozen=True, kw_only=True)
class Remedy:
    """One verb."""

    verb: Verb
    cure: Cure | None
    """On whose ladder it stands; None: no rule can ask for it."""
    pool: str
    """Which budget it is charged to, in the plural of people: ``restarts``."""
    allowances: Callable[[RemediationSettings], tuple[Allowance, ...]]
    terms: Callable[[RemediationSettings], Terms]
    proof: ProofOfEffect
    gates: tuple[Gate, ...] = ()
    """Beside those that every verb has."""
    opened_by_reading: Gate | None = None
    """The one of them that stays shut until the weights were read back: then they are asked for."""
    aim: Callable[[Checkpoints], Aim] = lambda known: Aim()
    tried_once: bool = False
    """Not tried again in the same incident, whatever came of it."""
    made_up_for_by: Verb | None = None
    """Done once when it left something that is neither the old nor the wanted state; None: it has no inverse."""
