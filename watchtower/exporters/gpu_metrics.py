"""The hardware's own metrics, from the board's last look. What cannot be read has no sample: absent is not zero.

The label ``gpu`` is the index of this boot; the UUID, the GPU's name for good, stands on ``watchtower_gpu_info`` alone,
so that it costs one series and not twenty.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from watchtower.board import Board
from watchtower.vocabulary.metrics import METRICS

GAUGES = {
    "watchtower_gpu_utilization_ratio": "utilization",
    "watchtower_gpu_sm_active_ratio": "sm_active",
    "watchtower_gpu_dram_active_ratio": "dram_active",
    "watchtower_gpu_sm_clock_hertz": "sm_clock_hz",
    "watchtower_gpu_power_watts": "power_watts",
    "watchtower_gpu_power_limit_watts": "power_limit_watts",
    "watchtower_gpu_temperature_celsius": "temperature_celsius",
    "watchtower_gpu_memory_used_bytes": "memory_used_bytes",
    "watchtower_gpu_memory_total_bytes": "memory_total_bytes",
}
COUNTERS = {
    "watchtower_gpu_nvlink_errors": "nvlink_errors",
    "watchtower_gpu_pcie_replays": "pcie_replays",
    "watchtower_gpu_ecc_corrected_errors": "ecc_corrected",
    "watchtower_gpu_ecc_uncorrected_errors": "ecc_uncorrected",
}


class GpuCollector(Collector):
    """Nothing at all while no source has spoken."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def collect(self) -> Iterator[Metric]:
        look = self._board.gpus
        if not look or look["source"] is None:
            return
        up = GaugeMetricFamily("watchtower_gpu_source_up", METRICS["watchtower_gpu_source_up"], labels=["source"])
        up.add_metric([look["source"]], float(not look["because"]))
        yield up
        gpus = list(enumerate(look["gpus"]))
        yield self._info(gpus, look["source"])
        readable = GaugeMetricFamily("watchtower_gpu_readable", METRICS["watchtower_gpu_readable"], labels=["gpu"])
        for number, gpu in gpus:
            readable.add_metric([_label(number, gpu)], float(not gpu["because"] and not look["because"]))
        yield readable
        if not look["because"]:
            yield from self._values(gpus)
        yield self._xids(gpus)
        yield from self._placement(look["placement"])

    def _info(self, gpus: list[tuple[int, dict[str, Any]]], source: str) -> Metric:
        info = InfoMetricFamily("watchtower_gpu", METRICS["watchtower_gpu_info"], labels=["gpu"])
        for number, gpu in gpus:
            info.add_metric([_label(number, gpu)], {"uuid": gpu["uuid"], "name": gpu["name"], "source": source})
        return info

    def _values(self, gpus: list[tuple[int, dict[str, Any]]]) -> Iterator[Metric]:
        for name, key in GAUGES.items():
            gauge = GaugeMetricFamily(name, METRICS[name], labels=["gpu"])
            for number, gpu in gpus:
                if gpu[key] is not None and gpu["trouble"] is None:
                    gauge.add_metric([_label(number, gpu)], gpu[key])
            yield gauge
        for name, key in COUNTERS.items():
            counter = CounterMetricFamily(name, METRICS[f"{name}_total"], labels=["gpu"])
            for number, gpu in gpus:
                if gpu[key] is not None:
                    counter.add_metric([_label(number, gpu)], gpu[key])
            yield counter
        throttled = CounterMetricFamily(
            "watchtower_gpu_throttled_seconds",
            METRICS["watchtower_gpu_throttled_seconds_total"],
            labels=["gpu", "reason"],
        )
        for number, gpu in gpus:
            for reason, nanoseconds in sorted(gpu["throttled_ns"].items()):
                throttled.add_metric([_label(number, gpu), reason], nanoseconds / 1e9)
        yield throttled

    def _xids(self, gpus: list[tuple[int, dict[str, Any]]]) -> Metric:
        """Told of a silent GPU as well: its last words are the reason."""
        xids = CounterMetricFamily("watchtower_gpu_xids", METRICS["watchtower_gpu_xids_total"], labels=["gpu", "kind"])
        for number, gpu in gpus:
            for kind, count in gpu["xids"].items():
                xids.add_metric([_label(number, gpu), kind], count)
        return xids

    def _placement(self, findings: list[dict[str, Any]]) -> Iterator[Metric]:
        wrong: dict[tuple[str, str], int] = {}
        for finding in findings:
            if finding["ok"] is not None:
                key = (finding["stage"], finding["question"])
                wrong[key] = wrong.get(key, 0) + (not finding["ok"])
        name = "watchtower_placement_mismatch"
        mismatch = GaugeMetricFamily(name, METRICS[name], labels=["stage", "question"])
        for (stage, question), count in sorted(wrong.items()):
            mismatch.add_metric([stage, question], count)
        yield mismatch


def _label(number: int, gpu: dict[str, Any]) -> str:
    return str(gpu["index"] if gpu["index"] >= 0 else number)
