"""vLLM's own ``vllm bench serve``: gaps between events of the stream, and mean gaps of requests.

A chat begins with an event that names the role and has no text. The bench takes it for the first token, and the first
token for the second, so its gaps hold one of nearly nothing for each request; only completions are compared by gap.
"""

from __future__ import annotations

import json
from pathlib import Path

from watchtower.lab.benchmarks.crosscheck.measured import Definition, Figures, Latencies
from watchtower.lab.benchmarks.crosscheck.trusted_tools import CHAT, PATHS, ToolWork, read_report

_REPORT = "bench.json"
_METRICS = {Definition.FIRST_TOKEN: "ttft", Definition.GAP: "itl", Definition.MEAN_GAP: "tpot"}
_BACKENDS = {CHAT: "openai-chat"}


class VllmBench:
    """``TrustedTool``; it comes with vLLM."""

    name = "vllm bench"
    version = "0.32.0"
    packages: tuple[str, ...] = ()
    torch = False

    def command(self, environment: Path, work: ToolWork, directory: Path) -> list[str]:
        return [
            str(environment / "bin/vllm"),
            *("bench", "serve"),
            *("--backend", _BACKENDS.get(work.route, "openai"), "--base-url", work.url),
            *("--endpoint", PATHS[work.route], "--model", work.model, "--tokenizer", work.tokenizer),
            *("--dataset-name", "random", "--random-input-len", str(work.prompt_tokens)),
            *("--random-output-len", str(work.output_tokens), "--ignore-eos", "--seed", "1"),
            *("--num-prompts", str(work.requests), "--max-concurrency", str(work.at_once)),
            *("--extra-body", json.dumps(work.extra), "--disable-tqdm"),
            *("--percentile-metrics", "ttft,tpot,itl", "--metric-percentiles", "50,95"),
            *("--save-result", "--result-dir", str(directory), "--result-filename", _REPORT),
            *("--metadata", f"route={work.route}"),
        ]

    def figures(self, directory: Path) -> Figures:
        report = read_report(self.name, directory, _REPORT)
        found = {}
        for definition, metric in _METRICS.items():
            if definition is Definition.GAP and report["route"] == CHAT:
                continue
            found[definition] = Latencies(
                count=int(report["completed"]),
                statistics={
                    "mean": report[f"mean_{metric}_ms"] / 1e3,
                    "p50": report[f"p50_{metric}_ms"] / 1e3,
                    "p95": report[f"p95_{metric}_ms"] / 1e3,
                },
            )
        return Figures(
            requests=int(report["completed"]), output_tokens=int(report["total_output_tokens"]), distributions=found
        )
