"""Words of the hardware: one GPU as a source sees it, and what a source can say of it.

Utilization is "at least one kernel was executing" (NVML): a rank that waits inside a collective spins and reads 100 %.
So it is one witness among several; clocks, power, throttling and links stand beside it. A value that could not be
read is None, and ``unavailable`` says why; it is never 0.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class GpuSource(StrEnum):
    NVML = "nvml"
    DCGM = "dcgm"
    SIMULATED = "simulated"
    """The demo's engine publishes these; every face says so."""


class UtilizationSample(msgspec.Struct, frozen=True, array_like=True):
    """Utilization over the ``seconds`` that end at ``at``."""

    at: float
    """CLOCK_BOOTTIME seconds."""
    seconds: float
    busy: float
    """Ratio, 0 to 1."""


class Trouble(StrEnum):
    """Why a GPU, or one of its values, cannot be read. Closed; each has one treatment."""

    NOT_SUPPORTED = "not_supported"
    NO_PERMISSION = "no_permission"
    LOST = "lost"
    """Fell off the bus: critical for this GPU, its siblings go on."""
    RESET_REQUIRED = "reset_required"
    MIG = "mig"
    """MIG-enabled: NVML gives no utilization of slices."""
    NOT_VISIBLE = "not_visible"
    DRIVER_WEDGED = "driver_wedged"
    """A call did not return by its deadline."""
    DRIVER_ABSENT = "driver_absent"
    DRIVER_MISMATCH = "driver_mismatch"
    """The driver was replaced underneath us."""
    RELEASED = "released"
    """We let go of NVML on request, so that a GPU can be reset."""
    STALE = "stale"
    FAULT = "fault"
    """Any other error of the source; its number is in the text."""


class GpuSeen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One GPU in one report. Cumulative values count up since the driver loaded; readers take differences."""

    uuid: str
    index: int = -1
    name: str = ""
    bus_id: str = ""
    trouble: Trouble | None = None
    """Set when nothing at all can be read of this GPU now."""
    because: str = ""
    utilization: list[UtilizationSample] = []
    """New since the last report, oldest first."""
    point_sampled: bool = False
    """True where only momentary readings exist (one a second), no driver ring."""
    sm_active: float | None = None
    """Share of SMs busy over the last interval, 0 to 1 (GPM on Hopper and newer, DCGM profiling)."""
    dram_active: float | None = None
    """Share of the memory bandwidth in use over the last interval, 0 to 1; same sources."""
    sm_clock_hz: float | None = None
    sm_clock_max_hz: float | None = None
    power_watts: float | None = None
    power_limit_watts: float | None = None
    temperature_celsius: float | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    throttle_reasons: int | None = None
    """NVML clock-event bitmask at this instant."""
    counted_at: float | None = None
    """When the cumulative values were read, CLOCK_BOOTTIME: up to a few seconds before the report. Divide by this."""
    throttled_ns: dict[str, int] = {}
    """Cumulative nanoseconds by reason: thermal, power_brake, power_cap, …"""
    ecc_corrected: int | None = None
    ecc_uncorrected: int | None = None
    remap_pending: bool | None = None
    remap_failed: bool | None = None
    recovery_action: str | None = None
    """What the driver asks for: none, reset, reboot, drain_p2p, drain_and_reset, imex."""
    nvlink_errors: int | None = None
    """Cumulative over all links: replays, recoveries, CRC errors (newer links: recoveries, receive errors)."""
    nvlink_active: int | None = None
    """Links that are up; compare with ``nvlink_total``."""
    nvlink_total: int | None = None
    pcie_replays: int | None = None
    pcie_generation: int | None = None
    pcie_width: int | None = None
    pcie_generation_max: int | None = None
    pcie_width_max: int | None = None
    processes: list[int] | None = None
    """Pids with a context on it, as this container sees them; an empty list may mean "invisible"."""
    unavailable: dict[str, Trouble] = {}
    """Value name → why it cannot be read."""


class Xid(msgspec.Struct, frozen=True):
    at: float
    uuid: str
    """"" when the event names no device."""
    number: int
