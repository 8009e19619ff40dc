"""What each relay worker is told at its start. A worker found with another plan than this is replaced."""

from __future__ import annotations

import socket
from pathlib import Path

import msgspec

from watchtower.settings import RelaySettings
from watchtower.taps.listening import refuse_to_meet_itself
from watchtower.taps.relay_plan import PROTOCOL, RelayPlan
from watchtower.taps.socket_addresses import Address, check_socket_path, listen_address, upstream_address

FACTS_SOCKET = "facts.sock"
LARGEST_NUMBER = 99
"""More than the numbers of all workers and of those who stand in for them."""


def worker_plan(settings: RelaySettings, upstream: str, run_directory: Path, number: int) -> RelayPlan:
    """What relay worker ``number`` of this run directory is told at start."""
    return RelayPlan(
        worker=number,
        listen=settings.listen,
        upstream=upstream,
        run_directory=str(run_directory),
        facts=str(run_directory / FACTS_SOCKET),
        guard=settings.guard,
        allow_paths=settings.allow_paths,
        tag_header=settings.tag_header,
        connect_seconds=settings.connect_seconds,
        max_connections=settings.max_connections,
        head_seconds=settings.head_seconds,
        body_pause_seconds=settings.body_pause_seconds,
        client_idle_seconds=settings.client_idle_seconds,
        protocol=PROTOCOL,
    )


class WorkerPlans:
    """The plans of all workers of one target."""

    def __init__(self, settings: RelaySettings, upstream: str, run_directory: Path, drain_seconds: float) -> None:
        """``drain_seconds``: how long a worker that was told to leave may let open answers end."""
        self._settings = settings
        self._upstream = upstream
        self.directory = run_directory
        self.drain_seconds = drain_seconds
        self.listen = settings.listen
        self.workers = settings.workers

    @property
    def facts(self) -> Path:
        """The Unix socket on which workers report."""
        return self.directory / FACTS_SOCKET

    def of(self, number: int, listen_fd: int = -1, *, forward_only: bool = False) -> RelayPlan:
        plan = worker_plan(self._settings, self._upstream, self.directory, number)
        return msgspec.structs.replace(
            plan, listen_fd=listen_fd, drain_seconds=self.drain_seconds, forward_only=forward_only
        )

    def check(self) -> Address:
        """The address to listen on. Raises BadInput for a plan that no worker could follow."""
        address = listen_address(self.listen)
        upstream_address(self._upstream)
        check_socket_path(self.facts, "state_directory")
        check_socket_path(self.of(LARGEST_NUMBER).handover_path, "state_directory")
        return address

    def refuse_to_meet_itself(self, listening: socket.socket) -> None:
        """Raises OwnAddress when the engine's address is that of the relay's ``listening`` socket or of another of its
        sockets."""
        owned = [self.facts, *self.directory.glob("relay-*.handover")]
        refuse_to_meet_itself(upstream_address(self._upstream), listening, owned)
