"""Where the deployment's files are, and how they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
KUBERNETES = ROOT / "deploy" / "kubernetes"
SYSTEMD = ROOT / "deploy" / "systemd"
EXAMPLES = ROOT / "docs" / "examples"


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))
