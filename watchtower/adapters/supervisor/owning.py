"""The daemon's half of a supervisor: the owner that its kind brings, or nobody.

Most kinds need none: who owns the engine (a container runtime, systemd, the kubelet) is there without us. A kind whose
owner is started by Watchtower names it in the attribute ``Owner`` of its class.
"""

from __future__ import annotations

from pathlib import Path

from watchtower.catalogue import load
from watchtower.knobs import SupervisorSettings
from watchtower.ports import Owner
from watchtower.vocabulary.actions import Reply, ReplyKind
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.ownership import Ensured, PersonOrder


class NullOwner:
    """Port ``Owner``: the engine is somebody else's."""

    def __init__(self, settings: SupervisorSettings, state_directory: Path) -> None:
        self._kind = settings.kind

    async def ensure(self, now: Instant) -> Ensured:
        return Ensured()

    async def close(self, end_engine: bool) -> None:
        """Nothing was started here."""

    async def order(self, order: PersonOrder) -> Reply:
        return Reply(ReplyKind.REJECTED, f"Watchtower does not own the engine (supervisor.kind is {self._kind})")


def owner_of(settings: SupervisorSettings, state_directory: Path) -> Owner:
    """Raises BadInput for a kind that does not exist."""
    make = getattr(load("supervisors", settings.kind), "Owner", NullOwner)
    owner: Owner = make(settings, state_directory)
    return owner
