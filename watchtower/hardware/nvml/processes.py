"""Who computes on a GPU. Milliseconds under the driver's lock, so rarely; pids as this container's namespace has them,
and those it cannot see are left out: an empty list does not mean an idle GPU."""

from __future__ import annotations

import pynvml

from watchtower.hardware.nvml.gpu import Gpu
from watchtower.vocabulary.gpus import Trouble

VALUE = "processes"


def read_processes(gpu: Gpu) -> None:
    """Raises NvmlError."""
    # The unversioned name raises a foreign error on older drivers: the versions are asked for by name.
    found = gpu.ask(VALUE, pynvml.nvmlDeviceGetComputeRunningProcesses_v3)
    if found is None and gpu.why(VALUE) is Trouble.NOT_SUPPORTED:
        found = gpu.ask(VALUE, pynvml.nvmlDeviceGetComputeRunningProcesses_v2)
    gpu.note(processes=None if found is None else sorted({int(one.pid) for one in found}))
