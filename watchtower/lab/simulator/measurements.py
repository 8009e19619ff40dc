"""The engine's own metrics, in vLLM's names, labels and bucket bounds, as Prometheus text.

Written by hand and not with a client library: the names, the ``_total`` endings and the bounds are the thing that is
simulated, and a scrape must show this engine alone. Names checked against vLLM 0.33, ``v1/metrics/loggers.py``;
its trap is kept: ``vllm:iteration_tokens_total`` is a histogram whose ``_count`` counts steps.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import accumulate

_TTFT_BOUNDS = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
    *(20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
)
_ITL_BOUNDS = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0),
)
_E2E_BOUNDS = (
    *(0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0),
    *(1920.0, 7680.0),
)
_ITERATION_BOUNDS = (1.0, *(float(2**power) for power in range(3, 15)))


class PrometheusHistogram:
    """Classic Prometheus histogram: counts per upper bound (inclusive), sum and count."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        return sum(self._counts)

    def lines(self, name: str, labels: str) -> list[str]:
        cumulative = accumulate(self._counts)
        bounds = (*(repr(bound) for bound in self.bounds), "+Inf")
        return [
            *(
                f'{name}_bucket{{{labels},le="{bound}"}} {count:.1f}'
                for bound, count in zip(bounds, cumulative, strict=True)
            ),
            f"{name}_count{{{labels}}} {self.count:.1f}",
            f"{name}_sum{{{labels}}} {self.sum!r}",
        ]


@dataclass(slots=True)
class Measurements:
    running: int = 0
    waiting: int = 0
    kv_cache_ratio: float = 0.0
    prompt_tokens: int = 0
    generation_tokens: int = 0
    steps: int = 0
    finishes: dict[str, int] = field(default_factory=lambda: {"stop": 0, "length": 0, "abort": 0, "error": 0})
    time_to_first_token: PrometheusHistogram = field(default_factory=lambda: PrometheusHistogram(_TTFT_BOUNDS))
    inter_token_latency: PrometheusHistogram = field(default_factory=lambda: PrometheusHistogram(_ITL_BOUNDS))
    e2e_latency: PrometheusHistogram = field(default_factory=lambda: PrometheusHistogram(_E2E_BOUNDS))
    iteration_tokens: PrometheusHistogram = field(default_factory=lambda: PrometheusHistogram(_ITERATION_BOUNDS))

    def stepped(self, tokens: int) -> None:
        self.steps += 1
        self.generation_tokens += tokens
        self.iteration_tokens.observe(tokens)

    def finished(self, reason: str, seconds: float) -> None:
        self.finishes[str(reason)] += 1
        self.e2e_latency.observe(seconds)

    def text(self, model: str, *, hung: bool, started_wall: float) -> str:
        """Prometheus exposition format 0.0.4.

        While ``hung`` the load gauges read 0: a real engine whose core is stuck publishes nothing, and vLLM was seen
        to say 0 running with requests open. Whoever trusts that gauge must fail against the simulator too.
        """
        labels = f'engine="0",model_name="{_escaped(model)}"'
        lines: list[str] = []

        def family(name: str, kind: str, text: str, samples: list[str]) -> None:
            lines.extend((f"# HELP {name} {text}", f"# TYPE {name} {kind}", *samples))

        def gauge(name: str, text: str, value: float) -> None:
            family(name, "gauge", text, [f"{name}{{{labels}}} {0.0 if hung else float(value)!r}"])

        def counter(name: str, text: str, value: int) -> None:
            family(name, "counter", text, [f"{name}{{{labels}}} {value:.1f}"])

        gauge("vllm:num_requests_running", "Requests in the running batch.", self.running)
        gauge("vllm:num_requests_waiting", "Requests in the waiting queue.", self.waiting)
        gauge("vllm:kv_cache_usage_perc", "KV-cache usage, 1 means full.", self.kv_cache_ratio)
        counter("vllm:prompt_tokens_total", "Prompt tokens taken in.", self.prompt_tokens)
        counter("vllm:generation_tokens_total", "Tokens generated.", self.generation_tokens)
        finishes = [
            f'vllm:request_success_total{{{labels},finished_reason="{reason}"}} {count:.1f}'
            for reason, count in self.finishes.items()
        ]
        family("vllm:request_success_total", "counter", "Requests by how they ended.", finishes)
        for name, text, histogram in (
            ("vllm:time_to_first_token_seconds", "Arrival to first token.", self.time_to_first_token),
            ("vllm:inter_token_latency_seconds", "Gap between two outputs of a request.", self.inter_token_latency),
            ("vllm:e2e_request_latency_seconds", "Arrival to end.", self.e2e_latency),
            ("vllm:iteration_tokens_total", "Tokens of one engine step.", self.iteration_tokens),
        ):
            family(name, "histogram", text, histogram.lines(name, labels))
        family(
            "process_start_time_seconds", "gauge", "Start of the process, Unix seconds.",
            [f"process_start_time_seconds {started_wall!r}"],
        )  # fmt: skip
        return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
