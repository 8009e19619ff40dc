"""``watchtower run`` and ``watchtower relay``: read the configuration, say what will run, run it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import structlog
import uvloop

from watchtower import __version__
from watchtower.daemon.assembly import Daemon
from watchtower.scheduling import put_first
from watchtower.services.loading import Loaded, load
from watchtower.services.relaying.worker_plans import worker_plan


@dataclass(frozen=True)
class RunOptions:
    config: Path | None
    overrides: Mapping[str, str] = field(default_factory=dict)
    own_everything: bool = False
    """End relay, keeper and engine with the daemon."""


def main(options: RunOptions) -> int:
    loaded = load(options.config, os.environ, options.overrides)
    configure_log()
    say_what_runs(loaded)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(Daemon(loaded, own_everything=options.own_everything).run())


def configure_log() -> None:
    """One JSON object a line on stderr; readable lines on a terminal."""
    readable = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer() if readable else structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def say_what_runs(loaded: Loaded) -> None:
    """The start banner: where things are, in which mode, and every limit that is looser than safe."""
    settings = loaded.settings
    print(f"watchtower {__version__} · target {settings.target}", file=sys.stderr)
    print(f"  clients → {settings.relay.listen} → engine {settings.engine.url}", file=sys.stderr)
    print(f"  metrics, API, console: http://{settings.web.listen}/", file=sys.stderr)
    print(f"  state: {settings.state_directory} · mode {settings.remediation.mode.value}", file=sys.stderr)
    for path, safe, used in loaded.loosened:
        print(f"  looser than safe: {path} = {used} (safe: {safe})", file=sys.stderr)


def relay_alone(config: Path | None, overrides: Mapping[str, str]) -> None:
    """Become one relay worker in the foreground. Does not return."""
    settings = load(config, os.environ, overrides).settings
    directory = settings.state_directory
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    plan = worker_plan(settings.relay, settings.engine.url, directory, number=0)
    argument = msgspec.json.encode(plan).decode()
    put_first(os.getpid())  # kept by the program that this process becomes
    os.execv(sys.executable, [sys.executable, "-m", "watchtower.programs.relay", argument])
