"""NVIDIA's aiperf: gaps between chunks (one for each token here) and mean gaps of requests, from its own report.

It reads a prompt's length from a tokenizer and takes the length of an answer from the server's usage.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from watchtower.lab.benchmarks.crosscheck.measured import Definition, Figures, Latencies
from watchtower.lab.benchmarks.crosscheck.trusted_tools import ToolWork, read_report

_METRICS = {
    Definition.FIRST_TOKEN: "time_to_first_token",
    Definition.GAP: "inter_chunk_latency",
    Definition.MEAN_GAP: "inter_token_latency",
}
_STATISTICS = {"mean": "avg", "p50": "p50", "p95": "p95"}
_PER_SECOND = {"ns": 1e9, "us": 1e6, "ms": 1e3, "s": 1.0, "sec": 1.0}


class Aiperf:
    """``TrustedTool``."""

    name = "aiperf"
    version = "0.13.0"
    packages: tuple[str, ...] = (f"aiperf=={version}",)
    torch = False

    def command(self, environment: Path, work: ToolWork, directory: Path) -> list[str]:
        extra = {"ignore_eos": True, "min_tokens": work.output_tokens, **work.extra}
        return [
            str(environment / "bin/aiperf"),
            "profile",
            *("--model", work.model, "--url", work.url, "--endpoint-type", work.route, "--streaming"),
            *("--tokenizer", work.tokenizer, "--use-server-token-count"),
            *("--concurrency", str(work.at_once), "--request-count", str(work.requests)),
            *("--isl", str(work.prompt_tokens), "--isl-stddev", "0"),
            *("--osl", str(work.output_tokens), "--osl-stddev", "0"),
            *("--extra-inputs", json.dumps(extra)),
            *("--artifact-dir", str(directory), "--export-level", "records", "--ui", "none"),
            *("--workers-max", "1", "--record-processors", "1", "--random-seed", "1"),
            *("--no-gpu-telemetry", "--no-server-metrics"),
        ]

    def figures(self, directory: Path) -> Figures:
        report = read_report(self.name, directory, "profile_export_aiperf.json")
        found = {
            definition: _distribution(report[metric])
            for definition, metric in _METRICS.items()
            if report.get(metric) is not None
        }
        return Figures(
            requests=int(report["request_count"]["avg"]),
            output_tokens=round(report["total_output_tokens"]["avg"]),
            distributions=found,
        )


def _distribution(metric: dict[str, Any]) -> Latencies:
    per_second = _PER_SECOND[metric["unit"]]
    return Latencies(
        count=int(metric.get("count") or 0),
        statistics={name: metric[theirs] / per_second for name, theirs in _STATISTICS.items()},
    )
