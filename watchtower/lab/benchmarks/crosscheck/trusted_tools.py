"""The port of a tool, and the environment that it runs in: its own, pinned, made once.

A tool brings hundreds of packages of its own, so none of them stands in ours. The environments lie below
``WATCHTOWER_TOOLS`` (default ``~/.cache/watchtower/tools``), one for each tool and version.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from watchtower.lab.benchmarks.crosscheck.measured import Figures
from watchtower.vocabulary.errors import NotReachable

_TORCH: Final = "torch==2.13.0"
_TORCH_INDEX: Final = "https://download.pytorch.org/whl/cpu"
_LAST_LINES: Final = 5
CHAT: Final = "chat"
COMPLETIONS: Final = "completions"
PATHS: Final = {CHAT: "/v1/chat/completions", COMPLETIONS: "/v1/completions"}


class ToolWork(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool shall ask for."""

    url: str
    """Of the engine or of the relay, without a path."""
    model: str
    tokenizer: str
    """A directory."""
    route: str
    """CHAT or COMPLETIONS."""
    requests: int
    at_once: int
    prompt_tokens: int
    output_tokens: int
    extra: dict[str, Any] = {}
    """Fields of every request's body."""


class TrustedTool(Protocol):
    """One tool."""

    name: str
    version: str
    packages: tuple[str, ...]
    """To install, pinned; none where it lives in vLLM's environment."""
    torch: bool
    """It needs torch, which is had from the index for the CPU where that answers."""

    def command(self, environment: Path, work: ToolWork, directory: Path) -> list[str]:
        """How to run it; it may write files of its own into ``directory``."""

    def figures(self, directory: Path) -> Figures:
        """What it reported there. Raises NotReachable when that cannot be read."""


def environment(tool: TrustedTool, vllm: Path, tell: Callable[[str], None]) -> Path:
    """Where the tool lives, made when it is not there yet. Raises NotReachable, with pip's last words."""
    if not tool.packages:
        return vllm
    below = Path(os.environ.get("WATCHTOWER_TOOLS") or Path.home() / ".cache/watchtower/tools")
    place = below / f"{tool.name}-{tool.version}"
    done = place / ".complete"
    if done.exists():
        return place
    tell(f"installing {tool.name} {tool.version} into {place} (minutes)")
    shutil.rmtree(place, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(place)], tool.name)
    pip = [str(place / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if tool.torch:
        _install_torch(pip, tool.name)
    _run([*pip, *tool.packages], tool.name)
    done.touch()
    return place


def _install_torch(pip: list[str], name: str) -> None:
    index = os.environ.get("TORCH_INDEX_URL", _TORCH_INDEX)
    try:
        _run([*pip, "--index-url", index, "--retries", "0", "--timeout", "15", _TORCH], name)
    except NotReachable:
        _run([*pip, _TORCH], name)


def _run(command: list[str], name: str) -> None:
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        said = "\n".join(made.stderr.strip().splitlines()[-_LAST_LINES:])
        raise NotReachable(f"{name} could not be installed:\n{said}")


def read_report(name: str, directory: Path, file: str) -> dict[str, Any]:
    """A JSON report that a tool left behind. Raises NotReachable."""
    try:
        report: dict[str, Any] = json.loads((directory / file).read_text())
    except (OSError, ValueError) as problem:
        raise NotReachable(f"{name} left no report: {problem}") from problem
    return report
