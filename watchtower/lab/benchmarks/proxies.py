"""What stands between client and engine in a comparison: our relay, nginx, HAProxy; each as its own manual has it.

A peer keeps its defaults, except for what its users set for streaming (nginx: HTTP/1.1 to the engine, no response
buffering; HAProxy: ``http-no-delay``, or it holds chunks for 100 ms) and what lets it run beside an installed one (own
directory, no log file). A peer that is not installed, or does not start, is said and left out.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from watchtower.lab.benchmarks import process_costs
from watchtower.ports import Clock
from watchtower.taps.relay_plan import RelayPlan
from watchtower.vocabulary.errors import NotReachable

OURS: Final = "watchtower relay"


@dataclass(frozen=True)
class Proxy:
    """One program that forwards to the engine."""

    name: str
    port: int
    process: asyncio.subprocess.Process = field(repr=False)

    @property
    def pids(self) -> list[int]:
        return process_costs.family(self.process.pid)


@dataclass(frozen=True)
class Peer:
    """How a program that others wrote is found, configured and started."""

    name: str
    program: str
    install: str
    version: tuple[str, ...]
    configuration: Callable[[int, int, Path], str]
    """(its port, the engine's port, its directory) → text."""
    arguments: Callable[[Path], list[str]]
    """Configuration file → command line after the program's name."""

    @property
    def found(self) -> str | None:
        return shutil.which(self.program, path=_path())


def _path() -> str:
    """Servers lie where the shell of an ordinary user does not look."""
    return os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"


def _nginx(port: int, engine: int, directory: Path) -> str:
    temporary = "\n".join(
        f"  {kind}_temp_path {directory}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""daemon off;
pid {directory}/nginx.pid;
error_log stderr error;
events {{ worker_connections 8192; }}
http {{
  access_log off;
{temporary}
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location / {{
      proxy_pass http://127.0.0.1:{engine};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""


def _haproxy(port: int, engine: int, directory: Path) -> str:
    return f"""defaults
  mode http
  option http-no-delay
  timeout connect 5s
  timeout client 1m
  timeout server 1m
frontend clients
  bind 127.0.0.1:{port}
  default_backend engine
backend engine
  server engine 127.0.0.1:{engine}
"""


PEERS: Final = (
    Peer(
        name="nginx",
        program="nginx",
        install="apt-get install nginx-light",
        version=("-v",),
        configuration=_nginx,
        arguments=lambda file: ["-e", "stderr", "-p", str(file.parent), "-c", str(file)],
    ),
    Peer(
        name="HAProxy",
        program="haproxy",
        install="apt-get install haproxy",
        version=("-v",),
        configuration=_haproxy,
        arguments=lambda file: ["-db", "-f", str(file)],
    ),
)


@asynccontextmanager
async def started_peer(peer: Peer, engine: int, directory: Path, clock: Clock) -> AsyncIterator[Proxy]:
    """Raises NotReachable, with the cure, when it is not installed or does not start."""
    program = peer.found
    if program is None:
        raise NotReachable(f"{peer.name} is not installed: {peer.install}")
    port = free_port()
    file = directory / f"{peer.program}.conf"
    file.write_text(peer.configuration(port, engine, directory))
    with (directory / f"{peer.program}.err").open("wb") as errors:
        process = await asyncio.create_subprocess_exec(program, *peer.arguments(file), stdout=errors, stderr=errors)
    try:
        if not await process_costs.accepts(port, clock):
            said = (directory / f"{peer.program}.err").read_text(errors="replace").strip().splitlines()
            raise NotReachable(f"{peer.name} did not start: {said[0] if said else 'it said nothing'}")
        yield Proxy(peer.name, port, process)
    finally:
        await process_costs.end(process)


@asynccontextmanager
async def started_relay(
    engine: int, directory: Path, facts: Path, clock: Clock, *, own_session: bool = False
) -> AsyncIterator[Proxy]:
    """One worker with every default, reporting to whoever listens on ``facts``; in our session, as its peers, or in one
    of its own, as the product starts it. Raises NotReachable."""
    port = free_port()
    plan = RelayPlan(
        worker=0,
        listen=f"127.0.0.1:{port}",
        upstream=f"http://127.0.0.1:{engine}",
        run_directory=str(directory),
        facts=str(facts),
        drain_seconds=1.0,
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "watchtower.programs.relay", msgspec.json.encode(plan).decode()),
        start_new_session=own_session,
    )
    try:
        if not await process_costs.accepts(port, clock):
            raise NotReachable("our relay did not start")
        yield Proxy(OURS, port, process)
    finally:
        await process_costs.end(process)


async def version(peer: Peer) -> str:
    """Its number; "" when it cannot be asked."""
    program = peer.found
    if program is None:
        return ""
    process = await asyncio.create_subprocess_exec(
        program, *peer.version, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    found = re.search(r"\d+(\.\d+)+", said.decode(errors="replace"))
    return found[0] if found else ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
