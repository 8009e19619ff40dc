"""Clocks and what cuts them: the momentary reasons, and the cumulative nanoseconds that miss nothing in between.

Newer drivers count thermal slowdown in two fields and the power brake in one; older ones keep one thermal counter,
still older ones only ``nvmlDeviceGetViolationStatus``. Sync boost holds a GPU to the pace of its group and is not read:
the group has a reason of its own. SW power cap is normal at full load; readers judge, not we.
"""

from __future__ import annotations

import pynvml

from watchtower.hardware.nvml.device import Device
from watchtower.hardware.nvml.fields import Field, read_fields, worst
from watchtower.vocabulary.gpus import Trouble

HERTZ_PER_MEGAHERTZ = 1_000_000.0

POWER_CAP: Field = (pynvml.NVML_FI_DEV_PERF_POLICY_POWER, 0)
ANY_THERMAL: Field = (pynvml.NVML_FI_DEV_PERF_POLICY_THERMAL, 0)
BOARD_LIMIT: Field = (pynvml.NVML_FI_DEV_PERF_POLICY_BOARD_LIMIT, 0)
RELIABILITY: Field = (pynvml.NVML_FI_DEV_PERF_POLICY_RELIABILITY, 0)
SW_THERMAL: Field = (pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN, 0)
HW_THERMAL: Field = (pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN, 0)
POWER_BRAKE: Field = (pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN, 0)

FIELDS = (POWER_CAP, ANY_THERMAL, BOARD_LIMIT, RELIABILITY, SW_THERMAL, HW_THERMAL, POWER_BRAKE)
COUNTED: tuple[tuple[str, tuple[tuple[Field, ...], ...]], ...] = (
    ("thermal", ((SW_THERMAL, HW_THERMAL), (ANY_THERMAL,))),
    ("power_brake", ((POWER_BRAKE,),)),
    ("power_cap", ((POWER_CAP,),)),
    ("board_limit", ((BOARD_LIMIT,),)),
    ("reliability", ((RELIABILITY,),)),
)
"""Reason → the sums that give its nanoseconds, best first."""
REASONS = (pynvml.nvmlDeviceGetCurrentClocksEventReasons, pynvml.nvmlDeviceGetCurrentClocksThrottleReasons)
"""The same bits under the name since driver 535, and before."""
POLICIES = (("thermal", pynvml.NVML_PERF_POLICY_THERMAL), ("power_cap", pynvml.NVML_PERF_POLICY_POWER))

VALUE = "throttled_ns"


def read_clocks(gpu: Device) -> None:
    """SM clock and the reasons of this instant. Raises NvmlError."""
    megahertz = gpu.ask("sm_clock_hz", pynvml.nvmlDeviceGetClockInfo, pynvml.NVML_CLOCK_SM)
    gpu.note(sm_clock_hz=_hertz(megahertz), throttle_reasons=gpu.ask_newest("throttle_reasons", REASONS))


def read_clock_limit(gpu: Device) -> None:
    """What the SM clock could be. Raises NvmlError."""
    megahertz = gpu.ask("sm_clock_max_hz", pynvml.nvmlDeviceGetMaxClockInfo, pynvml.NVML_CLOCK_SM)
    gpu.note(sm_clock_max_hz=_hertz(megahertz))


def read_throttled(gpu: Device) -> None:
    """Cumulative nanoseconds by reason. Raises NvmlError."""
    found = read_fields(gpu, VALUE, FIELDS)
    throttled: dict[str, int] = {}
    for reason, sums in COUNTED:
        for fields in sums:
            counts = [found.get(field) for field in fields]
            whole = [count for count in counts if isinstance(count, int)]
            if len(whole) == len(fields):
                throttled[reason] = sum(whole)
                break
    if not throttled:
        throttled = _violations(gpu)
    if throttled:
        gpu.can(VALUE)
    elif found:
        gpu.cannot(VALUE, worst([count for count in found.values() if isinstance(count, Trouble)]))
    gpu.note(throttled_ns=throttled)


def _violations(gpu: Device) -> dict[str, int]:
    throttled: dict[str, int] = {}
    for reason, policy in POLICIES:
        status = gpu.ask(VALUE, pynvml.nvmlDeviceGetViolationStatus, policy)
        if status is not None:
            throttled[reason] = int(status.violationTime)
    return throttled


def _hertz(megahertz: int | None) -> float | None:
    return None if megahertz is None else megahertz * HERTZ_PER_MEGAHERTZ
