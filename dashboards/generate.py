"""Writes the dashboards as JSON; ``--check`` fails when a file is stale, foreign or missing.

    python -m dashboards.generate [--check] [--rules FILE] [--to DIRECTORY]

The files are committed, so that nobody needs the SDK to use them. ``--rules`` takes the limits of your own rules.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import gpu, itself, latency, overview, quality, remediation
from dashboards.limits import SHIPPED, Limits, read_limits

HERE = Path(__file__).resolve().parent
DASHBOARDS: dict[str, Callable[[Limits], Dashboard]] = {
    "overview.json": overview.dashboard,
    "latency.json": latency.dashboard,
    "quality.json": quality.dashboard,
    "gpu.json": gpu.dashboard,
    "remediation.json": remediation.dashboard,
    "itself.json": itself.dashboard,
}


def texts(limits: Limits) -> dict[str, str]:
    """File name → content."""
    return {
        name: json.dumps(make(limits), cls=JSONEncoder, indent=2, ensure_ascii=False) + "\n"
        for name, make in DASHBOARDS.items()
    }


def main() -> int:
    arguments = argparse.ArgumentParser(description="Generate the Grafana dashboards.")
    arguments.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is not as generated")
    arguments.add_argument("--rules", type=Path, default=SHIPPED, help="the rules whose limits colour the tiles")
    arguments.add_argument("--to", type=Path, default=HERE, help="where the JSON files lie")
    chosen = arguments.parse_args()
    wanted = texts(read_limits(chosen.rules))
    if not chosen.check:
        for name, text in wanted.items():
            (chosen.to / name).write_text(text, encoding="utf-8")
        return 0
    found = {path.name: path.read_text(encoding="utf-8") for path in chosen.to.glob("*.json")}
    stale = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if stale:
        print(f"stale: {', '.join(stale)} · run 'make fix'", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
