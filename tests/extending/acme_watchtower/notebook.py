"""Supervisor "notebook": an engine whose incarnation is a number in a file, and a restart is the next number."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import SecretStr

from watchtower.clock import boot_id
from watchtower.knobs import SupervisorSettings
from watchtower.vocabulary.actions import Answer, Capabilities, Incarnation, Plan, Reply, ReplyKind, Verb
from watchtower.vocabulary.facts import EngineSeen


class NotebookSettings(SupervisorSettings):
    """Where the number stands."""

    acts: ClassVar[bool] = True
    kind: Literal["notebook"] = "notebook"
    file: Path
    """The notebook."""
    pin: SecretStr | None = None
    """What unlocks it."""


class Notebook:
    """Port ``Supervisor``."""

    Settings = NotebookSettings

    def __init__(self, settings: NotebookSettings, state_directory: Path) -> None:
        self._file = settings.file
        self._locked = settings.pin is None or settings.pin.get_secret_value() != "1234"
        self._done: set[str] = set()

    def capabilities(self) -> Capabilities:
        return Capabilities(verbs=() if self._locked else (Verb.RESTART_GROUP,), cas_incarnation=True)

    def observe(self, at: float) -> EngineSeen:
        try:
            number = int(self._file.read_text())
        except (OSError, ValueError):
            return EngineSeen(at=at, known=False, because="the notebook cannot be read")
        return EngineSeen(at=at, known=True, incarnation=Incarnation("notebook", str(number), boot_id()))

    def execute(self, plan: Plan) -> Reply:
        current = self.observe(0.0).incarnation
        if self._locked or current is None or current != plan.expected_incarnation:
            return Reply(ReplyKind.REJECTED, "that number is not written here")
        self._file.write_text(str(int(current.started) + 1))
        self._done.add(plan.op_id)
        return Reply(ReplyKind.ACKED)

    def status(self, op_id: str) -> Answer:
        return Answer.DONE if op_id in self._done else Answer.CANNOT_TELL

    def fence(self, token: int) -> bool:
        return False
