"""Supervisor "none": Watchtower observes and tells people; nobody here can say which process serves, or restart it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from watchtower.adapters.supervisor.process import ProcessKnobs
from watchtower.vocabulary.actions import Answer, Capabilities, Plan, Reply, ReplyKind
from watchtower.vocabulary.checks import Check, Health
from watchtower.vocabulary.facts import EngineSeen
from watchtower.vocabulary.reasons import ReasonKind

BECAUSE = "no supervisor is configured (supervisor.kind: none)"


class NoSupervisorSettings(ProcessKnobs):
    """Nobody. What was written for our keeper may stay in the file while it is switched off."""

    kind: Literal["none"] = "none"
    """Watchtower tells people and never acts."""


class NoSupervisor:
    """Port ``Supervisor``, with an empty menu."""

    Settings = NoSupervisorSettings

    def __init__(self, settings: NoSupervisorSettings, state_directory: Path) -> None:
        """Takes what every supervisor takes, and needs none of it."""

    def capabilities(self) -> Capabilities:
        return Capabilities()

    def observe(self, at: float) -> EngineSeen:
        return EngineSeen(at=at, known=False, because=BECAUSE, kind=ReasonKind.NOT_CONFIGURED)

    def execute(self, plan: Plan) -> Reply:
        return Reply(ReplyKind.REJECTED, BECAUSE)

    def status(self, op_id: str) -> Answer:
        return Answer.NOT_DONE

    def examine(self) -> Check:
        return Check("keeper", Health.OFF, "nobody can restart the engine: Watchtower tells people and never acts")

    def fence(self, token: int) -> bool:
        # every token is refused already, and always will be
        return True
