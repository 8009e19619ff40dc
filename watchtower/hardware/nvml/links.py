"""NVLink and PCIe: errors as cumulative counts, links that are down, a bus that trained down. All of it silent: no Xid.

NVLink up to Hopper counts replays, recoveries and CRC errors per link; from Blackwell on those fields are refused and
recoveries and receive errors take their place. PCIe throughput is not read: each call would measure for 20 ms.
"""

from __future__ import annotations

import pynvml

from watchtower.hardware.nvml.device import Device
from watchtower.hardware.nvml.fields import Field, read_fields, worst
from watchtower.vocabulary.gpus import Trouble

LINK_COUNT: Field = (pynvml.NVML_FI_DEV_NVLINK_LINK_COUNT, 0)
UP_TO_HOPPER = (
    pynvml.NVML_FI_DEV_NVLINK_ERROR_DL_REPLAY,
    pynvml.NVML_FI_DEV_NVLINK_ERROR_DL_RECOVERY,
    pynvml.NVML_FI_DEV_NVLINK_ERROR_DL_CRC,
)
FROM_BLACKWELL = (
    pynvml.NVML_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_EVENTS,
    pynvml.NVML_FI_DEV_NVLINK_COUNT_RCV_ERRORS,
)
STATE: int = pynvml.NVML_FI_DEV_NVLINK_GET_STATE
ERRORS, ACTIVE, TOTAL = "nvlink_errors", "nvlink_active", "nvlink_total"


class Links:
    """The reader of one GPU; it remembers how many links there are and which counters they have."""

    def __init__(self) -> None:
        self._total: int | None = None
        self._counters: tuple[int, ...] = UP_TO_HOPPER

    def read(self, gpu: Device) -> None:
        """Raises NvmlError."""
        gpu.note(
            pcie_replays=gpu.ask("pcie_replays", pynvml.nvmlDeviceGetPcieReplayCounter),
            pcie_generation=gpu.ask("pcie_generation", pynvml.nvmlDeviceGetCurrPcieLinkGeneration),
            pcie_width=gpu.ask("pcie_width", pynvml.nvmlDeviceGetCurrPcieLinkWidth),
            pcie_generation_max=gpu.ask("pcie_generation_max", pynvml.nvmlDeviceGetMaxPcieLinkGeneration),
            pcie_width_max=gpu.ask("pcie_width_max", pynvml.nvmlDeviceGetMaxPcieLinkWidth),
        )
        if self._total is None:
            self._total = self._count(gpu)
        if self._total:
            gpu.note(
                nvlink_total=self._total,
                nvlink_errors=self._errors(gpu, self._total),
                nvlink_active=self._active(gpu, self._total),
            )
        elif self._total == 0:
            for value in (ERRORS, ACTIVE):
                gpu.cannot(value, Trouble.NOT_SUPPORTED)
            gpu.note(nvlink_total=0)

    def _count(self, gpu: Device) -> int | None:
        count = read_fields(gpu, TOTAL, (LINK_COUNT,)).get(LINK_COUNT)
        if not isinstance(count, Trouble):
            return count
        if count is Trouble.NOT_SUPPORTED:
            return 0
        gpu.cannot(TOTAL, count)
        return None

    def _errors(self, gpu: Device, total: int) -> int | None:
        links = range(total)
        found = read_fields(gpu, ERRORS, [(counter, link) for link in links for counter in self._counters])
        counts = [count for count in found.values() if not isinstance(count, Trouble)]
        if counts:
            return sum(counts)
        troubles = [count for count in found.values() if isinstance(count, Trouble)]
        if troubles:
            gpu.cannot(ERRORS, worst(troubles))
            if self._counters is UP_TO_HOPPER and gpu.why(ERRORS) is Trouble.NOT_SUPPORTED:
                self._counters = FROM_BLACKWELL
                return self._errors(gpu, total)
        return None

    def _active(self, gpu: Device, total: int) -> int | None:
        found = read_fields(gpu, ACTIVE, [(STATE, link) for link in range(total)])
        states = [state for state in found.values() if not isinstance(state, Trouble)]
        if found and not states:
            gpu.cannot(ACTIVE, worst([state for state in found.values() if isinstance(state, Trouble)]))
        return sum(state != pynvml.NVML_NVLINK_STATE_INACTIVE for state in states) if states else None
