"""What a scrape sees of the hardware."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.exporters.test_prometheus import full_board
from tests.windows.hardware_scenes import Change, at_work, reports, watched
from tests.windows.traffic import START
from watchtower.board import Board
from watchtower.exporters.gpu_metrics import COUNTERS, GAUGES, GpuCollector
from watchtower.exporters.prometheus import BoardCollector, Exposition
from watchtower.rules.rule_files import load_rules, shipped_rules
from watchtower.services.judging.gpu_document import gpu_document
from watchtower.settings import PlacementSettings, StageSettings
from watchtower.vocabulary.facts import GpuReport
from watchtower.vocabulary.gpus import GpuSource, Trouble, Xid
from watchtower.vocabulary.histograms import HistogramTotals
from watchtower.vocabulary.instants import Instant
from watchtower.windows.window_settings import WindowSettings

THROTTLES = ("thermal", "power_brake", "power_cap", "board_limit", "reliability")
MIG: dict[int, Change] = {
    1: lambda second: {"unavailable": {"utilization": Trouble.MIG}, "utilization": [], "power_watts": None}
}


def scraped(*more: GpuReport, stages: tuple[StageSettings, ...] = ()) -> str:
    windows, now = watched(reports([0.9, 0.5], change=MIG), more, at_work())
    board = Board(target="t", version="0", mode="observe", profile="safe", started=Instant(0, 0, "b"))
    board.gpus = gpu_document(windows.gpus, PlacementSettings(stages=stages), 30, now)
    return Exposition([GpuCollector(board)]).render("")[0].decode()


def value(text: str, series: str) -> float | None:
    lines: dict[str, Any] = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return float(lines[series]) if series in lines else None


def test_a_gpu_is_labelled_by_its_index_and_its_uuid_stands_on_info_alone() -> None:
    text = scraped()
    assert value(text, 'watchtower_gpu_utilization_ratio{gpu="0"}') == 0.9
    assert value(text, 'watchtower_gpu_sm_clock_hertz{gpu="1"}') == 1980e6
    assert value(text, 'watchtower_gpu_throttled_seconds_total{gpu="0",reason="power_cap"}') == 63.0
    assert [line.split("{")[0] for line in text.splitlines() if "GPU-0" in line] == ["watchtower_gpu_info"]


def test_what_cannot_be_read_is_absent_and_not_zero() -> None:
    text = scraped()
    assert value(text, 'watchtower_gpu_utilization_ratio{gpu="1"}') is None
    assert value(text, 'watchtower_gpu_power_watts{gpu="1"}') is None
    assert value(text, 'watchtower_gpu_readable{gpu="1"}') == 0
    assert value(text, 'watchtower_gpu_readable{gpu="0"}') == 1


def test_a_dead_source_says_so_and_gives_no_old_values() -> None:
    text = scraped(GpuReport(at=START + 71, source=GpuSource.NVML, trouble=Trouble.DRIVER_WEDGED))
    assert value(text, 'watchtower_gpu_source_up{source="nvml"}') == 0
    assert value(text, 'watchtower_gpu_readable{gpu="0"}') == 0
    assert "watchtower_gpu_utilization_ratio" not in text


def test_xids_are_counted_by_kind_also_of_a_source_that_is_dead_now() -> None:
    xids = [Xid(START + 71, "GPU-1", 79), Xid(START + 71, "GPU-1", 31)]
    text = scraped(GpuReport(at=START + 71, source=GpuSource.NVML, trouble=Trouble.DRIVER_WEDGED, xids=xids))
    assert value(text, 'watchtower_gpu_xids_total{gpu="1",kind="fatal"}') == 1
    assert value(text, 'watchtower_gpu_xids_total{gpu="1",kind="application"}') == 1
    assert value(text, 'watchtower_gpu_xids_total{gpu="0",kind="fatal"}') == 0


def test_mismatches_of_the_placement_are_counted() -> None:
    text = scraped(stages=(StageSettings(name="tp", ranks=4, pcie_width=16, model="H100"),))
    assert value(text, 'watchtower_placement_mismatch{question="ranks",stage="tp"}') == 1
    assert value(text, 'watchtower_placement_mismatch{question="pcie_width",stage="tp"}') == 0
    assert value(text, 'watchtower_placement_mismatch{question="model",stage="tp"}') is None  # no name was told


def test_before_any_look_there_is_nothing() -> None:
    board = Board(target="t", version="0", mode="observe", profile="safe", started=Instant(0, 0, "b"))
    assert Exposition([GpuCollector(board)]).render("")[0] == b""


def test_a_full_daemon_with_eight_gpus_stays_within_its_bound_of_series() -> None:
    board = full_board(rules=len(load_rules([shipped_rules() / "triad.yaml"]).rules))
    knobs = WindowSettings()
    latencies = {
        "inter_token_latency_seconds": knobs.inter_token_bounds,  # the limit of the shipped rule is among them
        "time_to_first_token_seconds": (*knobs.first_token_bounds, 0.13),
    }
    for name, bounds in latencies.items():
        totals = HistogramTotals(bounds, tuple(range(len(bounds))), 30, 1.0)
        board.histograms[name] = {"llama-3": totals}  # each further model, two and `other` at most, adds 38
    stage = StageSettings(name="tp", ranks=8, pcie_width=16, pcie_generation=5, model="H100", power_limit_watts=700)
    windows, now = watched(reports([0.9] * 8), (), at_work())
    board.gpus = gpu_document(windows.gpus, PlacementSettings(stages=(stage,)), 30, now)
    everything: dict[str, Any] = dict.fromkeys((*GAUGES.values(), *COUNTERS.values()), 1.0)
    everything |= {"trouble": None, "because": "", "throttled_ns": dict.fromkeys(THROTTLES, 1)}
    board.gpus["gpus"] = [gpu | everything for gpu in board.gpus["gpus"]]
    text = Exposition([BoardCollector(board), GpuCollector(board)]).render("")[0].decode()
    series = [line for line in text.splitlines() if not line.startswith("#")]
    assert sum(line.startswith("watchtower_gpu_utilization_ratio") for line in series) == 8
    assert 300 < len(series) <= 530, Counter(line.split("{")[0].split(" ")[0] for line in series)
