"""Power, temperature and memory of this instant, and the limits they live in."""

from __future__ import annotations

import pynvml

from watchtower.hardware.nvml.device import Device

TEMPERATURE = (pynvml.nvmlDeviceGetTemperatureV, pynvml.nvmlDeviceGetTemperature)
"""Newest first."""
WATTS_PER_MILLIWATT = 0.001


def read_vitals(gpu: Device) -> None:
    """Raises NvmlError."""
    milliwatts = gpu.ask("power_watts", pynvml.nvmlDeviceGetPowerUsage)
    celsius = gpu.ask_newest("temperature_celsius", TEMPERATURE, pynvml.NVML_TEMPERATURE_GPU)
    # Of a MIG parent inside a container this is refused, rightly: the slice is not ours to see.
    memory = gpu.ask("memory_used_bytes", pynvml.nvmlDeviceGetMemoryInfo)
    gpu.note(
        power_watts=None if milliwatts is None else milliwatts * WATTS_PER_MILLIWATT,
        temperature_celsius=None if celsius is None else float(celsius),
        memory_used_bytes=None if memory is None else int(memory.used),
        memory_total_bytes=None if memory is None else int(memory.total),
    )


def read_power_limit(gpu: Device) -> None:
    """What the driver enforces after all limiters; operators and racks change it. Raises NvmlError."""
    milliwatts = gpu.ask("power_limit_watts", pynvml.nvmlDeviceGetEnforcedPowerLimit)
    gpu.note(power_limit_watts=None if milliwatts is None else milliwatts * WATTS_PER_MILLIWATT)
