"""Installs somebody else's distribution into a folder: its package, and the metadata that pip would write."""

from __future__ import annotations

import shutil
from pathlib import Path

PACKAGE = Path(__file__).with_name("acme_watchtower")
ENTRY_POINTS = {
    "watchtower.engines": {"parrot": "acme_watchtower.parrot:Parrot"},
    "watchtower.supervisors": {"notebook": "acme_watchtower.notebook:Notebook"},
    "watchtower.sinks": {
        "diary": "acme_watchtower.diary:Diary",
        "log": "acme_watchtower.diary:Diary",
        "broken": "acme_watchtower.absent:Sink",
        "bare": "acme_watchtower.diary:Written",
        "leaving": "acme_watchtower.leaving:Sink",
        "renamed": "acme_watchtower.diary:Diary",
    },
}
"""``log`` tries to take a name of ours; ``broken`` is not there; ``bare`` brings no settings; ``leaving`` exits;
``renamed`` is called otherwise by its settings."""


def installed(site: Path) -> Path:
    """Put ``site`` on ``sys.path`` or PYTHONPATH, and the plug-ins exist."""
    shutil.copytree(PACKAGE, site / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    metadata = site / "acme_watchtower-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-watchtower\nVersion: 1.0\n")
    groups = [
        f"[{group}]\n" + "".join(f"{kind} = {target}\n" for kind, target in kinds.items())
        for group, kinds in ENTRY_POINTS.items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(groups))
    return site
