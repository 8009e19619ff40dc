"""What commands share: options that mean the same everywhere, and the way to the running daemon."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="watchtower.yaml; default: ./watchtower.yaml or /etc/watchtower/watchtower.yaml."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
StateOption = Annotated[
    Path | None,
    typer.Option("--state-dir", help="The running daemon's state directory; default: from the configuration."),
]
PLACES = (Path("watchtower.yaml"), Path("/etc/watchtower/watchtower.yaml"))


def example(text: str) -> str:
    return f"[dim]Example:[/dim]  {text}"


def find_config(given: Path | None) -> Path | None:
    return given or next((place for place in PLACES if place.exists()), None)


def client(config: Path | None, state_dir: Path | None) -> Any:
    from watchtower.programs.client import DaemonClient

    return DaemonClient(state_directory(config, state_dir))


def state_directory(config: Path | None, given: Path | None) -> Path:
    """The one given, or the configuration's."""
    if given is not None:
        return given
    from watchtower.services.loading import load

    return load(find_config(config), os.environ).settings.state_directory


def as_json(value: Any) -> None:
    print(json.dumps(value, indent=2))


ReasonOption = Annotated[str, typer.Option("--reason", "-r", help="Why; the next on-call engineer reads it.")]
