"""dcgm-exporter as the source: its metrics page → a GPU report. Pure but for the memory of what each GPU said before.

The exporter samples every 30 s by default and shows the last value again and again, so utilization from here is
momentary, and a GPU that froze looks healthy: one whose power and energy have not moved for long is STALE. Names are
those of DCGM before 4.6 and since (``_RATIO`` of GPU utilization is still 0 to 100); a blank marker is no value.
Sources: DCGM's dcgm_fields.h, dcgm-exporter's default counters.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from watchtower.vocabulary.facts import GpuReport
from watchtower.vocabulary.gpus import GpuSeen, GpuSource, Trouble, UtilizationSample, Xid

STALE_SECONDS = 150.0
"""Five intervals of the exporter without the least movement of power or energy."""
LONGEST_SAMPLE_SECONDS = 60.0
"""A momentary reading stands for the time since the one before, but not for longer."""
BLANK_INTEGER = 0x7FFFFFFFFFFFFFF0
BLANK_FLOAT = 140737488355328.0
MEBIBYTE = 1024 * 1024

NAMES: dict[str, tuple[str, ...]] = {
    "utilization": ("DCGM_FI_DEV_GPU_UTIL_RATIO", "DCGM_FI_DEV_GPU_UTIL"),
    "sm_active": ("DCGM_FI_PROF_SM_UTIL_RATIO", "DCGM_FI_PROF_SM_ACTIVE"),
    "dram_active": ("DCGM_FI_PROF_DRAM_UTIL_RATIO", "DCGM_FI_PROF_DRAM_ACTIVE"),
    "sm_clock": ("DCGM_FI_DEV_SM_CLOCK",),
    "sm_clock_max": ("DCGM_FI_DEV_MAX_SM_CLOCK",),
    "power": ("DCGM_FI_DEV_BOARD_POWER_WATTS", "DCGM_FI_DEV_POWER_USAGE"),
    "power_limit": (
        "DCGM_FI_DEV_BOARD_POWER_LIMIT_ENFORCED_WATTS",
        "DCGM_FI_DEV_ENFORCED_POWER_LIMIT",
        "DCGM_FI_DEV_POWER_MGMT_LIMIT",
    ),
    "energy": ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",),
    "temperature": ("DCGM_FI_DEV_GPU_TEMP_CELSIUS", "DCGM_FI_DEV_GPU_TEMP"),
    "memory_used": ("DCGM_FI_DEV_FB_USED",),
    "memory_free": ("DCGM_FI_DEV_FB_FREE",),
    "memory_reserved": ("DCGM_FI_DEV_FB_RESERVED",),
    "memory_total": ("DCGM_FI_DEV_FB_TOTAL",),
    "reasons": ("DCGM_FI_DEV_CLOCKS_EVENT_REASONS", "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS"),
    "ecc_corrected": ("DCGM_FI_DEV_ECC_SBE_VOL_TOTAL",),
    "ecc_uncorrected": ("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL",),
    "remap_pending": ("DCGM_FI_DEV_ROW_REMAP_PENDING",),
    "remap_failed": ("DCGM_FI_DEV_ROW_REMAP_FAILED", "DCGM_FI_DEV_ROW_REMAP_FAILURE"),
    "pcie_replays": ("DCGM_FI_DEV_PCIE_REPLAY_TOTAL", "DCGM_FI_DEV_PCIE_REPLAY_COUNTER"),
    "pcie_generation": ("DCGM_FI_DEV_PCIE_LINK_GEN",),
    "pcie_width": ("DCGM_FI_DEV_PCIE_LINK_WIDTH",),
    "pcie_generation_max": ("DCGM_FI_DEV_PCIE_MAX_LINK_GEN",),
    "pcie_width_max": ("DCGM_FI_DEV_PCIE_MAX_LINK_WIDTH",),
    "xid": ("DCGM_FI_DEV_XID_ERROR", "DCGM_FI_DEV_XID_ERRORS"),
    "nvlink_crc_flit": ("DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_TOTAL", "DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL"),
    "nvlink_crc_data": ("DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_TOTAL", "DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL"),
    "nvlink_replay": ("DCGM_FI_DEV_NVLINK_REPLAY_ERROR_TOTAL", "DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL"),
    "nvlink_recovery": ("DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_TOTAL", "DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL"),
    "ns_sw_thermal": ("DCGM_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN_NS",),
    "ns_hw_thermal": ("DCGM_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN_NS",),
    "ns_thermal": ("DCGM_FI_DEV_THERMAL_VIOLATION",),
    "ns_power_brake": ("DCGM_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN_NS",),
    "ns_power_cap": ("DCGM_FI_DEV_CLOCKS_EVENT_REASON_SW_POWER_CAP_NS", "DCGM_FI_DEV_POWER_VIOLATION"),
    "ns_board_limit": ("DCGM_FI_DEV_BOARD_LIMIT_VIOLATION",),
    "ns_reliability": ("DCGM_FI_DEV_RELIABILITY_VIOLATION",),
}
"""Our name → theirs, newest first. Violation times are NVML's nanoseconds, whatever the help text says."""
_OURS = {theirs: (ours, rank) for ours, names in NAMES.items() for rank, theirs in enumerate(names)}

UNAVAILABLE = ("utilization", "sm_active", "sm_clock_hz", "power_watts", "temperature_celsius", "memory_used_bytes")
"""Values whose absence is said; the rest is seldom exported."""


@dataclass
class _Row:
    """One GPU on the page."""

    uuid: str
    name: str = ""
    bus_id: str = ""
    index: int = -1
    mig: bool = False
    values: dict[str, float] = field(default_factory=dict)
    ranks: dict[str, int] = field(default_factory=dict)
    age_seconds: float = 0.0

    def take(self, ours: str, rank: int, value: float) -> None:
        if rank <= self.ranks.get(ours, rank):
            self.values[ours], self.ranks[ours] = value, rank


@dataclass
class _Before:
    """What a GPU said last."""

    seen_at: float
    moved_at: float
    movement: tuple[float | None, ...]
    xid: float | None


class DcgmReader:
    """Pages → reports, in order of time."""

    def __init__(self, uuids: Iterable[str] = ()) -> None:
        """``uuids``: the GPUs that are wanted; none: all on the page."""
        self._wanted = tuple(uuids)
        self._before: dict[str, _Before] = {}

    def read(self, page: str, at: float, wall: float) -> GpuReport:
        """``at``: CLOCK_BOOTTIME of the scrape; ``wall``: Unix seconds, for pages whose samples carry a time."""
        try:
            rows = _rows(page, wall)
        except ValueError:
            return trouble(at, Trouble.FAULT, "the dcgm-exporter's page is no metrics page")
        if not rows:
            return trouble(at, Trouble.NOT_VISIBLE, "the dcgm-exporter shows no GPU")
        wanted = self._wanted or tuple(dict.fromkeys((*rows, *self._before)))
        seen = []
        xids = []
        for uuid in wanted:
            row = rows.get(uuid)
            if row is None:
                because = "its series are missing from the dcgm-exporter's page"
                seen.append(GpuSeen(uuid=uuid, trouble=Trouble.NOT_VISIBLE, because=because))
                continue
            before = self._before.get(uuid)
            if before is not None and row.values.get("xid", 0) not in (0, before.xid):  # the last Xid, for ever
                xids.append(Xid(at, uuid, int(row.values["xid"])))
            now = self._before[uuid] = _moved(row, before, at)
            seen.append(_stale(row, now, at) or _seen(row, at, before.seen_at if before is not None else None))
        return GpuReport(at=at, source=GpuSource.DCGM, gpus=seen, xids=xids)


def trouble(at: float, what: Trouble, because: str) -> GpuReport:
    return GpuReport(at=at, source=GpuSource.DCGM, trouble=what, because=because)


def _rows(page: str, wall: float) -> dict[str, _Row]:
    """By UUID. Raises ValueError."""
    rows: dict[str, _Row] = {}
    for name, labels, value, stamp in _samples(page):
        uuid = labels.get("UUID") or labels.get("uuid") or labels.get("gpu_uuid") or ""
        if not uuid:
            continue
        row = rows.setdefault(uuid, _Row(uuid))
        row.name = row.name or labels.get("modelName") or labels.get("model_name") or ""
        row.bus_id = row.bus_id or labels.get("pci_bus_id", "")
        row.index = int(labels["gpu"]) if labels.get("gpu", "").isdigit() else row.index
        if stamp is not None:
            row.age_seconds = max(row.age_seconds, wall - stamp)
        if labels.get("GPU_I_ID"):  # of a slice: not the GPU's own
            row.mig = True
        elif name in _OURS:
            row.take(*_OURS[name], value)
    return rows


def _samples(page: str) -> Iterator[tuple[str, Mapping[str, str], float, float | None]]:
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if not _blank(sample.value):
                stamp = None if sample.timestamp is None else float(sample.timestamp)
                # the parser moves the suffix of a counter's name about
                yield _known(sample.name, family.name), sample.labels, sample.value, stamp


def _known(name: str, family: str) -> str:
    for candidate in (name, family, name.removesuffix("_total")):
        if candidate in _OURS:
            return candidate
    return name


def _blank(value: float) -> bool:
    """DCGM's markers for "no value", as integers and as floats."""
    return not math.isfinite(value) or value >= BLANK_INTEGER or BLANK_FLOAT <= value < BLANK_FLOAT + 16


def _moved(row: _Row, before: _Before | None, at: float) -> _Before:
    movement = (row.values.get("energy"), row.values.get("power"))
    still = before is not None and movement == before.movement
    moved_at = before.moved_at if before is not None and still else at
    return _Before(at, moved_at, movement, row.values.get("xid"))


def _stale(row: _Row, now: _Before, at: float) -> GpuSeen | None:
    still = at - now.moved_at if any(value is not None for value in now.movement) else 0.0
    age = max(still, row.age_seconds)
    if age <= STALE_SECONDS:
        return None
    because = f"nothing of it has moved for {age:.0f} s: the exporter shows old values"
    return GpuSeen(
        uuid=row.uuid, index=row.index, name=row.name, bus_id=row.bus_id, trouble=Trouble.STALE, because=because
    )


def _seen(row: _Row, at: float, before: float | None) -> GpuSeen:
    get = row.values.get
    seen = GpuSeen(
        uuid=row.uuid,
        index=row.index,
        name=row.name,
        bus_id=row.bus_id,
        utilization=_utilization(row, at, before),
        point_sampled=True,
        sm_active=None if _profiling_is_dead(row) else get("sm_active"),
        dram_active=get("dram_active"),
        sm_clock_hz=_scaled(get("sm_clock"), 1e6),
        sm_clock_max_hz=_scaled(get("sm_clock_max"), 1e6),
        power_watts=get("power"),
        power_limit_watts=get("power_limit"),
        temperature_celsius=get("temperature"),
        memory_used_bytes=_whole(get("memory_used"), MEBIBYTE),
        memory_total_bytes=_memory_total(row),
        throttle_reasons=_whole(get("reasons")),
        counted_at=at,
        throttled_ns=_throttled(row),
        ecc_corrected=_whole(get("ecc_corrected")),
        ecc_uncorrected=_whole(get("ecc_uncorrected")),
        remap_pending=_yes(get("remap_pending")),
        remap_failed=_yes(get("remap_failed")),
        nvlink_errors=_nvlink_errors(row),
        pcie_replays=_whole(get("pcie_replays")),
        pcie_generation=_whole(get("pcie_generation")),
        pcie_width=_whole(get("pcie_width")),
        pcie_generation_max=_whole(get("pcie_generation_max")),
        pcie_width_max=_whole(get("pcie_width_max")),
    )
    for value in UNAVAILABLE:
        if (value == "utilization" and "utilization" not in row.values) or getattr(seen, value) is None:
            seen.unavailable[value] = Trouble.MIG if row.mig else Trouble.NOT_SUPPORTED
    if _profiling_is_dead(row):
        seen.unavailable["sm_active"] = Trouble.FAULT
    return seen


def _profiling_is_dead(row: _Row) -> bool:
    """After some Xids DCGM's profiling reads 0 for good beside a GPU that is busy."""
    return row.values.get("sm_active") == 0 and row.values.get("utilization", 0) >= 90


def _utilization(row: _Row, at: float, before: float | None) -> list[UtilizationSample]:
    percent = row.values.get("utilization")
    if percent is None or before is None or not 0 <= percent <= 100:
        return []
    return [UtilizationSample(at, min(at - before, LONGEST_SAMPLE_SECONDS), percent / 100)]


def _throttled(row: _Row) -> dict[str, int]:
    get = row.values.get
    software, hardware = get("ns_sw_thermal"), get("ns_hw_thermal")
    counted = {
        "thermal": get("ns_thermal") if software is None or hardware is None else software + hardware,
        "power_brake": get("ns_power_brake"),
        "power_cap": get("ns_power_cap"),
        "board_limit": get("ns_board_limit"),
        "reliability": get("ns_reliability"),
    }
    return {reason: int(value) for reason, value in counted.items() if value is not None}


def _nvlink_errors(row: _Row) -> int | None:
    kinds = ("nvlink_crc_flit", "nvlink_crc_data", "nvlink_replay", "nvlink_recovery")
    counts = [row.values[kind] for kind in kinds if kind in row.values]
    return int(sum(counts)) if counts else None


def _memory_total(row: _Row) -> int | None:
    get = row.values.get
    used, free, reserved = get("memory_used"), get("memory_free"), get("memory_reserved", 0.0)
    if get("memory_total") is not None:
        return _whole(get("memory_total"), MEBIBYTE)
    return None if used is None or free is None else int((used + free + reserved) * MEBIBYTE)


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _whole(value: float | None, factor: int = 1) -> int | None:
    return None if value is None else int(value * factor)


def _yes(value: float | None) -> bool | None:
    return None if value is None else value > 0
