"""dcgm-exporter's page, in its old and new spellings: the same GPUs, and the same honesty about what is missing."""

from __future__ import annotations

import pytest

from tests.hardware.machine import uuid
from watchtower.hardware.interpretation.dcgm import BLANK_FLOAT, BLANK_INTEGER, STALE_SECONDS, DcgmReader
from watchtower.vocabulary.facts import GpuReport
from watchtower.vocabulary.gpus import GpuSeen, GpuSource, Trouble

WALL = 1_700_000_000.0
OLD = {
    "DCGM_FI_DEV_GPU_UTIL": 97,
    "DCGM_FI_PROF_SM_ACTIVE": 0.62,
    "DCGM_FI_PROF_DRAM_ACTIVE": 0.41,
    "DCGM_FI_DEV_SM_CLOCK": 1980,
    "DCGM_FI_DEV_POWER_USAGE": 421.5,
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": 88_000_000,
    "DCGM_FI_DEV_GPU_TEMP": 61,
    "DCGM_FI_DEV_FB_USED": 72000,
    "DCGM_FI_DEV_FB_FREE": 9000,
    "DCGM_FI_DEV_FB_RESERVED": 559,
    "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS": 4,
    "DCGM_FI_DEV_POWER_VIOLATION": 5_000_000_000,
    "DCGM_FI_DEV_THERMAL_VIOLATION": 300,
    "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL": 2,
    "DCGM_FI_DEV_ROW_REMAP_FAILURE": 0,
    "DCGM_FI_DEV_PCIE_REPLAY_COUNTER": 3,
    "DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL": 5,
    "DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL": 1,
}
RENAMED = {
    "DCGM_FI_DEV_GPU_UTIL": "DCGM_FI_DEV_GPU_UTIL_RATIO",
    "DCGM_FI_PROF_SM_ACTIVE": "DCGM_FI_PROF_SM_UTIL_RATIO",
    "DCGM_FI_PROF_DRAM_ACTIVE": "DCGM_FI_PROF_DRAM_UTIL_RATIO",
    "DCGM_FI_DEV_POWER_USAGE": "DCGM_FI_DEV_BOARD_POWER_WATTS",
    "DCGM_FI_DEV_GPU_TEMP": "DCGM_FI_DEV_GPU_TEMP_CELSIUS",
    "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS": "DCGM_FI_DEV_CLOCKS_EVENT_REASONS",
    "DCGM_FI_DEV_POWER_VIOLATION": "DCGM_FI_DEV_CLOCKS_EVENT_REASON_SW_POWER_CAP_NS",
    "DCGM_FI_DEV_ROW_REMAP_FAILURE": "DCGM_FI_DEV_ROW_REMAP_FAILED",
    "DCGM_FI_DEV_PCIE_REPLAY_COUNTER": "DCGM_FI_DEV_PCIE_REPLAY_TOTAL",
    "DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL": "DCGM_FI_DEV_NVLINK_REPLAY_ERROR_TOTAL",
    "DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL": "DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_TOTAL",
}
NEW = {RENAMED.get(name, name): value for name, value in OLD.items()}
COUNTERS = ("_TOTAL", "_COUNTER", "_CONSUMPTION", "_VIOLATION", "_NS")


def page(values: dict[str, float], index: int = 0, labels: str = "", kinds: bool = True) -> str:
    named = labels or (
        f'gpu="{index}",UUID="{uuid(index)}",pci_bus_id="00000000:1{index}:00.0",device="nvidia{index}",'
        'modelName="NVIDIA H100 80GB HBM3",Hostname="node"'
    )
    lines = []
    for name, value in values.items():
        if kinds:
            kind = "counter" if name.endswith(COUNTERS) else "gauge"
            lines += [f"# HELP {name} of DCGM", f"# TYPE {name} {kind}"]
        lines.append(f"{name}{{{named}}} {value}")
    return "\n".join(lines) + "\n"


def read_twice(text: str, seconds: float = 30.0) -> GpuReport:
    reader = DcgmReader()
    reader.read(text, 1000.0, WALL)
    return reader.read(text, 1000.0 + seconds, WALL + seconds)


@pytest.mark.parametrize("values", [OLD, NEW], ids=["before 4.6", "since 4.6"])
@pytest.mark.parametrize("kinds", [True, False], ids=["typed", "untyped"])
def test_both_spellings_read_the_same(values: dict[str, float], kinds: bool) -> None:
    report = read_twice(page(values, kinds=kinds))
    (gpu,) = report.gpus
    assert report.source is GpuSource.DCGM
    assert (gpu.uuid, gpu.index, gpu.name) == (uuid(0), 0, "NVIDIA H100 80GB HBM3")
    assert [(sample.at, sample.seconds, sample.busy) for sample in gpu.utilization] == [(1030.0, 30.0, 0.97)]
    assert gpu.point_sampled
    assert (gpu.sm_active, gpu.dram_active) == (0.62, 0.41)
    assert (gpu.sm_clock_hz, gpu.power_watts, gpu.temperature_celsius) == (1980e6, 421.5, 61)
    assert gpu.memory_used_bytes == 72000 << 20
    assert gpu.memory_total_bytes == 81559 << 20
    assert gpu.throttle_reasons == 4
    assert gpu.throttled_ns == {"power_cap": 5_000_000_000, "thermal": 300}
    assert (gpu.ecc_corrected, gpu.remap_failed, gpu.pcie_replays, gpu.nvlink_errors) == (2, False, 3, 6)
    assert gpu.unavailable == {}


@pytest.mark.parametrize(
    "labels",
    [
        f'gpu="0",uuid="{uuid(0)}",device="nvidia0",hostname="node"',
        f'gpu="0",UUID="{uuid(0)}",model_name="H100",namespace="ml",pod="vllm-0",container="vllm"',
        f'gpu_uuid="{uuid(0)}",gpu="0"',
    ],
)
def test_labels_in_any_spelling_name_the_gpu(labels: str) -> None:
    assert read_twice(page(OLD, labels=labels)).gpus[0].uuid == uuid(0)


@pytest.mark.parametrize("blank", [BLANK_INTEGER, BLANK_INTEGER + 2, BLANK_FLOAT, 9223372036854775794, float("nan")])
def test_a_blank_marker_is_no_value(blank: float) -> None:
    (gpu,) = read_twice(page({**OLD, "DCGM_FI_DEV_POWER_USAGE": blank, "DCGM_FI_DEV_GPU_UTIL": blank})).gpus
    assert gpu.power_watts is None
    assert gpu.utilization == []
    assert gpu.unavailable == {"power_watts": Trouble.NOT_SUPPORTED, "utilization": Trouble.NOT_SUPPORTED}


def test_what_is_not_exported_is_unavailable_never_zero() -> None:
    (gpu,) = read_twice(page({"DCGM_FI_DEV_GPU_TEMP": 61})).gpus
    assert gpu.sm_clock_hz is gpu.sm_active is gpu.ecc_corrected is gpu.nvlink_errors is None
    assert gpu.throttled_ns == {}
    assert set(gpu.unavailable) == {"utilization", "sm_active", "sm_clock_hz", "power_watts", "memory_used_bytes"}


def test_values_of_a_slice_are_not_the_gpus_own() -> None:
    slice_of = f'gpu="0",UUID="{uuid(0)}",GPU_I_PROFILE="1g.10gb",GPU_I_ID="7"'
    text = page({"DCGM_FI_PROF_SM_ACTIVE": 0.9, "DCGM_FI_DEV_FB_USED": 9}, labels=slice_of)
    (gpu,) = read_twice(text + page({"DCGM_FI_DEV_GPU_TEMP": 61})).gpus
    assert gpu.sm_active is None
    assert gpu.memory_used_bytes is None
    assert gpu.unavailable["utilization"] is Trouble.MIG


def test_a_wanted_gpu_that_is_not_on_the_page_is_not_visible() -> None:
    report = DcgmReader([uuid(0), uuid(1)]).read(page(OLD), 1000.0, WALL)
    assert [gpu.trouble for gpu in report.gpus] == [None, Trouble.NOT_VISIBLE]


def test_a_gpu_whose_series_vanish_is_missed() -> None:
    reader = DcgmReader()
    reader.read(page(OLD) + page(OLD, 1), 1000.0, WALL)
    report = reader.read(page(OLD), 1030.0, WALL)
    assert [(gpu.uuid, gpu.trouble) for gpu in report.gpus] == [(uuid(0), None), (uuid(1), Trouble.NOT_VISIBLE)]


def test_a_gpu_that_froze_is_stale_and_says_nothing_any_more() -> None:
    reader = DcgmReader()
    gpu: GpuSeen | None = None
    for scrape in range(10):
        text = page(OLD) + page({**OLD, "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": 88_000_000 + scrape}, 1)
        frozen, alive = reader.read(text, 1000.0 + 30 * scrape, WALL).gpus
        assert alive.trouble is None
        assert (frozen.trouble is Trouble.STALE) == (30 * scrape > STALE_SECONDS)
        gpu = frozen
    assert gpu is not None
    assert gpu.utilization == []
    assert gpu.power_watts is None


def test_samples_that_carry_an_old_time_are_stale() -> None:
    def stamped(seconds: float) -> str:
        lines = page(OLD, kinds=False).splitlines()
        return "\n".join(f"{line} {int((WALL - seconds) * 1000)}" for line in lines) + "\n"

    assert DcgmReader().read(stamped(5), 1000.0, WALL).gpus[0].trouble is None
    assert DcgmReader().read(stamped(600), 1000.0, WALL).gpus[0].trouble is Trouble.STALE


def test_the_last_xid_is_told_once_although_it_stays_on_the_page() -> None:
    reader = DcgmReader()
    told = []
    for scrape, xid in enumerate([0, 0, 31, 31, 31, 79, 79]):
        report = reader.read(page({**OLD, "DCGM_FI_DEV_XID_ERRORS": xid}), 1000.0 + 5 * scrape, WALL)
        told += [(error.at, error.number) for error in report.xids]
    assert told == [(1010.0, 31), (1025.0, 79)]


def test_an_xid_from_before_our_start_is_history() -> None:
    assert DcgmReader().read(page({**OLD, "DCGM_FI_DEV_XID_ERRORS": 79}), 1000.0, WALL).xids == []


def test_profiling_that_reads_nothing_beside_a_busy_gpu_is_a_fault() -> None:
    (gpu,) = read_twice(page({**OLD, "DCGM_FI_PROF_SM_ACTIVE": 0.0})).gpus
    assert gpu.sm_active is None
    assert gpu.unavailable["sm_active"] is Trouble.FAULT


def test_a_pause_between_scrapes_is_not_filled_with_one_reading() -> None:
    (gpu,) = read_twice(page(OLD), seconds=3600).gpus
    assert gpu.utilization == [] or gpu.utilization[0].seconds <= 60


@pytest.mark.parametrize(
    ("text", "trouble"),
    [("", Trouble.NOT_VISIBLE), ("up 1\n", Trouble.NOT_VISIBLE), ("<html>{ no</html>", Trouble.FAULT)],
)
def test_a_page_without_gpus_is_no_zero(text: str, trouble: Trouble) -> None:
    assert DcgmReader().read(text, 1000.0, WALL).trouble is trouble
