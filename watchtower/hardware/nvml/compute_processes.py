"""Who computes on a GPU. Milliseconds under the driver's lock, so rarely; pids as this container's namespace has them,
and those it cannot see are left out: an empty list does not mean an idle GPU."""

from __future__ import annotations

import pynvml

from watchtower.hardware.nvml.device import Device

VERSIONS = (pynvml.nvmlDeviceGetComputeRunningProcesses_v3, pynvml.nvmlDeviceGetComputeRunningProcesses_v2)
"""By number: the name without one raises a foreign error on older drivers."""


def read_processes(gpu: Device) -> None:
    """Raises NvmlError."""
    found = gpu.ask_newest("processes", VERSIONS)
    gpu.note(processes=None if found is None else sorted({int(process.pid) for process in found}))
