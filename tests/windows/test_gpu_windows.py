"""From GPU reports to readings: what is compared, when, and why not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from tests.windows.hardware_scenes import Change, at_work, gpu, reports, uuid, watched
from tests.windows.traffic import START, seen
from watchtower.vocabulary.facts import GpuReport
from watchtower.vocabulary.gpus import GpuSeen, GpuSource, Trouble, UtilizationSample
from watchtower.vocabulary.readings import Reading
from watchtower.windows import WindowSettings
from watchtower.windows.gpu_windows import TROUBLES

SPREAD, DISPERSION, STRAGGLER = "gpu_utilization.spread", "gpu_utilization.dispersion", "gpu_straggler.score"
ALL = (SPREAD, DISPERSION, STRAGGLER)


def read(name: str, gpus: list[GpuReport], *, settings: WindowSettings | None = None, over: float = 30) -> Reading:
    windows, now = watched(gpus, at_work(), settings=settings)
    return windows.read(name, over, now)


def constantly(**changes: Any) -> Change:
    return lambda second: changes


# ── the numbers ─────────────────────────────────────────────────────────────────────────────────


def test_the_spread_is_the_range_of_the_means() -> None:
    reading = read(SPREAD, reports([0.95, 0.90, 0.80, 0.93]))
    assert reading.value == pytest.approx(0.15) and reading.samples == 4


def test_samples_weigh_as_long_as_they_last() -> None:
    def report(second: int) -> GpuReport:
        end = START + second
        uneven = [UtilizationSample(end - 0.25, 0.75, 1.0), UtilizationSample(end, 0.25, 0.0)]
        return GpuReport(
            at=end,
            source=GpuSource.NVML,
            gpus=[gpu(0, end, second, 0.75), GpuSeen(uuid=uuid(1), index=1, utilization=uneven)],
        )

    assert read(SPREAD, [report(second) for second in range(1, 71)]).value == pytest.approx(0.0)


def test_ranks_that_share_a_bursty_load_have_no_spread_and_a_large_dispersion() -> None:
    bursts: dict[int, Change] = {
        index: (lambda second: {"utilization": [UtilizationSample(START + second, 1.0, float(second % 2))]})
        for index in range(4)
    }
    gpus = reports([0.5] * 4, change=bursts)
    assert read(SPREAD, gpus).value == pytest.approx(0.0, abs=1e-9)
    assert read(DISPERSION, gpus).value == pytest.approx(0.5, abs=0.01)


def test_a_gpu_that_reports_late_is_compared_over_the_same_stretch() -> None:
    def samples(at: float) -> list[UtilizationSample]:
        return [UtilizationSample(at, 1.0, float(at > START + 55))]

    late: dict[int, Change] = {
        0: lambda second: {"utilization": samples(START + second)},
        1: lambda second: {"utilization": samples(START + second - 4)},
    }
    assert read(SPREAD, reports([0, 0], change=late)).value == pytest.approx(0.0, abs=1e-9)


def test_only_ranks_of_one_group_are_compared() -> None:
    pairs = WindowSettings(gpu_groups=((uuid(0), uuid(1)), (uuid(2), uuid(3))))
    gpus = reports([0.9, 0.88, 0.3, 0.35])
    assert read(SPREAD, gpus, settings=pairs).value == pytest.approx(0.05)
    assert read(SPREAD, gpus).value == pytest.approx(0.6)


def test_an_exporter_that_looks_every_half_minute_is_enough_for_a_long_window() -> None:
    looks = [
        GpuReport(
            at=START + second,
            source=GpuSource.DCGM,
            gpus=[
                GpuSeen(uuid=uuid(index), utilization=[UtilizationSample(START + second, 30.0, 0.9 - index / 5)])
                for index in (0, 1)
            ],
        )
        for second in range(30, 301, 30)
    ]
    windows, now = watched(looks, at_work(300))
    assert windows.read(SPREAD, 120, now).value == pytest.approx(0.2)
    assert "too long for a window of 5 s" in windows.read(SPREAD, 5, now).because


# ── why not ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("trouble", list(Trouble))
def test_every_trouble_of_a_gpu_makes_the_reading_unknown_and_says_which_gpu(name: str, trouble: Trouble) -> None:
    lost = {2: lambda second: {"trouble": trouble, "utilization": []} if second > 60 else {}}
    reading = read(name, reports([0.9] * 4, change=lost))
    assert reading.value is None and uuid(2) in reading.because and TROUBLES[trouble] in reading.because


@pytest.mark.parametrize("trouble", list(Trouble))
def test_every_trouble_of_the_source_makes_the_reading_unknown(trouble: Trouble) -> None:
    silent = GpuReport(at=START + 70.25, source=GpuSource.NVML, trouble=trouble, because="error 9")
    reading = read(SPREAD, [*reports([0.9, 0.2]), silent])
    assert reading.value is None and TROUBLES[trouble] in reading.because and "error 9" in reading.because


def test_utilization_alone_may_be_unavailable() -> None:
    mig = {1: constantly(unavailable={"utilization": Trouble.MIG}, utilization=[])}
    assert "MIG" in read(SPREAD, reports([0.9, 0.9], change=mig)).because


def test_one_gpu_has_no_spread() -> None:
    for name in ALL:
        assert read(name, reports([0.9])).because == "one GPU has no spread"


def test_a_gpu_that_leaves_the_reports_is_missed() -> None:
    gpus = reports([0.9, 0.9])
    left = [
        report if report.at < START + 50 else GpuReport(at=report.at, source=report.source, gpus=report.gpus[:1])
        for report in gpus
    ]
    reading = read(SPREAD, left)
    assert reading.value is None and reading.because == "GPU 1 (GPU-1): its newest utilization sample is 21 s old"


def test_a_configured_gpu_that_nobody_names_is_missed() -> None:
    reading = read(SPREAD, reports([0.9, 0.9]), settings=WindowSettings(gpu_groups=((uuid(0), "GPU-none"),)))
    assert reading.because == "GPU-none: its source has never named it"


def test_a_window_with_holes_is_not_read() -> None:
    hole: dict[int, Change] = {1: lambda second: {"utilization": []} if second % 3 == 0 else {}}
    reading = read(SPREAD, reports([0.9, 0.9], change=hole))
    assert reading.value is None and "s of 30 s are covered" in reading.because


def test_a_few_missing_samples_are_forgiven() -> None:
    hole: dict[int, Change] = {1: lambda second: {"utilization": []} if second % 10 == 0 else {}}
    assert read(SPREAD, reports([0.9, 0.9], change=hole)).known


def test_an_idle_engine_says_nothing_about_its_gpus() -> None:
    windows, now = watched(reports([0.9, 0.2]), at_work(share=0.5))
    reading = windows.read(SPREAD, 30, now)
    assert reading.value is None and reading.because.startswith("idle: exchanges were open in")


def test_gpus_that_hardly_work_are_not_compared() -> None:
    reading = read(SPREAD, reports([0.18, 0.01]))
    assert reading.value is None and reading.because.startswith("idle: no GPU of the group")


def test_open_exchanges_without_tokens_are_a_hang_and_no_imbalance() -> None:
    windows, now = watched(reports([1.0, 0.0]), at_work(tokens=False))
    assert "no token comes" in windows.read(SPREAD, 30, now).because


def test_a_hang_is_told_from_an_imbalance_before_its_gpus_look_like_one() -> None:
    gpus = reports([1.0, 0.0, 1.0, 1.0])
    flowing, now = watched(gpus, at_work())
    stopped, _ = watched(gpus, at_work(stops_after=62))
    assert flowing.read(SPREAD, 60, now).known
    assert "no token comes" in stopped.read(SPREAD, 60, now).because


def test_after_a_restart_the_gpus_are_masked_until_the_engine_is_warm() -> None:
    windows, now = watched(reports([0.9, 0.2]), at_work(), [seen(START + 1), seen(START + 65, id="101")])
    assert "warming up" in windows.read(SPREAD, 30, now).because


def test_without_a_relay_nobody_knows_whether_there_was_work() -> None:
    windows, now = watched(reports([0.9, 0.2]))
    assert windows.read(SPREAD, 30, now).because == "no relay has ever spoken"


def test_a_simulated_source_is_named_with_the_number_and_without() -> None:
    known = read(SPREAD, reports([0.9, 0.9], source=GpuSource.SIMULATED))
    unknown = read(SPREAD, reports([0.9], source=GpuSource.SIMULATED))
    assert known.detail == "simulated GPUs" and unknown.because == "simulated GPUs: one GPU has no spread"
    assert read(SPREAD, reports([0.9, 0.9])).detail == ""


@pytest.mark.parametrize(
    "sample",
    [
        UtilizationSample(START + 70, 1.0, math.nan),
        UtilizationSample(START + 70, math.nan, 0.0),
        UtilizationSample(math.inf, 1.0, 0.0),
        UtilizationSample(START + 1e6, 1.0, 0.0),
        UtilizationSample(START + 70, 1.0, 7.0),
        UtilizationSample(START + 70, -1.0, 0.0),
    ],
)
def test_a_sample_that_is_no_sample_changes_nothing(sample: UtilizationSample) -> None:
    gpus = reports([0.9, 0.9])
    last = gpus[-1]
    odd = GpuReport(at=last.at + 0.125, source=last.source, gpus=[GpuSeen(uuid=uuid(0), utilization=[sample])])
    windows, now = watched([*gpus, odd], at_work())
    assert windows.read(SPREAD, 30, now).value == pytest.approx(0.0)


def test_a_report_from_the_future_is_refused_and_blinds_nobody() -> None:
    windows, now = watched(reports([0.9, 0.6]), at_work())
    windows.read(SPREAD, 30, now)
    windows.absorb(GpuReport(at=now + 1e6, source=GpuSource.NVML, trouble=Trouble.FAULT))
    assert windows.read(SPREAD, 30, now).known and windows.refused == 1


def test_a_report_told_again_changes_nothing() -> None:
    gpus = reports([0.9, 0.6])
    assert read(SPREAD, gpus + gpus).value == read(SPREAD, gpus).value


# ── who, and what people are told ───────────────────────────────────────────────────────────────


def test_the_odd_one_is_named_with_its_reason() -> None:
    stalled = {1: constantly(power_watts=250.0)}
    detail = read(SPREAD, reports([0.99, 0.35, 0.98, 0.99], change=stalled)).detail
    assert detail.startswith("GPU 1 (GPU-1) works 35 %, the others 99 %: host stall, power 42 % of the peers'")


def test_a_gpu_that_works_alone_may_have_another_user() -> None:
    assert "another process may be using it" in read(SPREAD, reports([0.4, 0.4, 0.9, 0.4])).detail


def test_of_two_no_culprit_is_named_from_utilization() -> None:
    assert read(SPREAD, reports([0.99, 0.35])).detail == "GPU 0 (GPU-0) 99 % and GPU 1 (GPU-1) 35 %"


def test_nearly_equal_ranks_need_no_culprit() -> None:
    assert read(SPREAD, reports([0.95, 0.94, 0.93])).detail == ""


@pytest.mark.parametrize(
    ("busy", "change", "says"),
    [
        ([1.0, 0.0, 1.0, 1.0], {}, "GPU 1 (GPU-1) stands still while its peers spin at 100 %: it is the suspect"),
        (
            [1.0] * 3,
            {index: constantly(power_watts=80.0) for index in range(3)},
            "all GPUs read busy at 11 % of their power: they wait in a collective",
        ),
        ([0.0] * 3, {}, "all GPUs stand still: no work reaches them"),
        ([1.0] * 3, {}, ""),
    ],
)
def test_a_hang_has_a_signature(busy: list[float], change: dict[int, Callable[[int], Any]], says: str) -> None:
    windows, now = watched(reports(busy, change=change), at_work(tokens=False))
    reading = windows.read("token_progress.stalled", 60, now)
    assert reading.value is not None and reading.value > 20
    assert reading.detail == says


def test_what_is_shown_has_no_zero_for_what_is_not_known() -> None:
    mig = {1: constantly(unavailable={"utilization": Trouble.MIG}, utilization=[], power_watts=None)}
    windows, now = watched(reports([0.9, 0.9], change=mig), at_work())
    shown = windows.gpus.as_json(30, now)
    good, bad = shown["gpus"]
    assert shown["source"] == "nvml" and shown["because"] == ""
    assert good["utilization"] == pytest.approx(0.9) and good["power_watts"] == 600.0
    assert bad["utilization"] is None and bad["power_watts"] is None and "MIG" in bad["because"]
