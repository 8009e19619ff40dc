"""guidellm, of the vLLM project: mean gaps of requests, weighted by their tokens, so that their mean is that of gaps.

It has no distribution of single gaps: its median and 95th percentile are of requests, and are compared with ours of
requests only.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from watchtower.lab.benchmarks.crosscheck.measured import Definition, Figures, Latencies
from watchtower.lab.benchmarks.crosscheck.trusted_tools import PATHS, ToolWork, read_report

_SCENARIO = "scenario.json"
_REPORT = "benchmarks.json"


class Guidellm:
    """``TrustedTool``."""

    name = "guidellm"
    version = "0.8.1"
    packages: tuple[str, ...] = (f"guidellm=={version}",)
    torch = True

    def command(self, environment: Path, work: ToolWork, directory: Path) -> list[str]:
        scenario = {
            "spec": {
                "backend": {
                    "kind": "openai_http",
                    "target": work.url,
                    "model": work.model,
                    "request_format": PATHS[work.route],
                    "extras": {"body": work.extra},
                },
                "profile": {"kind": "concurrent", "streams": [work.at_once]},
                "constraints": [{"kind": "max_requests", "count": work.requests}],
                "tokenizer": {"kind": "huggingface_auto", "model": work.tokenizer},
                "data": [
                    {
                        "kind": "synthetic_text",
                        "prompt_tokens": work.prompt_tokens,
                        "output_tokens": work.output_tokens,
                    }
                ],
                "outputs": [{"kind": "json", "path": str(directory / _REPORT)}],
            }
        }
        (directory / _SCENARIO).write_text(json.dumps(scenario))
        run = [str(environment / "bin/guidellm"), "run", "--config", str(directory / _SCENARIO)]
        return [*run, "--disable-console-interactive"]

    def figures(self, directory: Path) -> Figures:
        (benchmark,) = read_report(self.name, directory, _REPORT)["benchmarks"]
        metrics = benchmark["metrics"]
        gaps = _distribution(metrics["inter_token_latency_ms"])
        return Figures(
            requests=int(metrics["request_totals"]["successful"]),
            output_tokens=round(metrics["output_token_count"]["successful"]["total_sum"]),
            distributions={
                Definition.FIRST_TOKEN: _distribution(metrics["time_to_first_token_ms"]),
                Definition.MEAN_GAP: gaps,
                # weighted by tokens, the mean over requests is the mean over gaps
                Definition.GAP: Latencies(count=gaps.count, statistics={"mean": gaps.statistics["mean"]}),
            },
        )


def _distribution(metric: dict[str, Any]) -> Latencies:
    whole = metric["successful"]
    return Latencies(
        count=int(whole["count"]),
        statistics={
            "mean": whole["mean"] / 1e3,
            "p50": whole["percentiles"]["p50"] / 1e3,
            "p95": whole["percentiles"]["p95"] / 1e3,
        },
    )
