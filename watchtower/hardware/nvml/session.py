"""NVML opened, the GPUs found, NVML closed: each at most once in a process.

Opening again after a close has hung drivers, and a replaced driver leaves the old library mapped; whoever wants NVML
again starts a new process. GPUs are found by UUID where UUIDs are given, so that a neighbour's GPU is not even
touched; otherwise by index, tolerating those that refuse. The index is no identity: it may change with every boot.
"""

from __future__ import annotations

from typing import Any

import pynvml

from watchtower.hardware.gpu_plan import GpuPlan
from watchtower.hardware.nvml.device import Device
from watchtower.hardware.nvml.driver import Driver
from watchtower.hardware.nvml.meanings import NO_NEWS, NvmlError, Reach
from watchtower.vocabulary.gpus import GpuSeen, Trouble


class Session:
    def __init__(self, plan: GpuPlan, driver: Driver) -> None:
        self._plan = plan
        self._driver = driver
        self.opened = False
        self.gpus: list[Device] = []
        self.missing: list[GpuSeen] = []
        """Wanted, or counted by the driver, and not to be had."""

    def open(self) -> None:
        """Raises NvmlError."""
        self._driver.call("", pynvml.nvmlInit, seconds=self._plan.open_seconds)
        self.opened = True

    def find(self) -> list[Device]:
        """Look for GPUs that we do not have yet; those that were found now. Raises NvmlError for the driver."""
        self.missing = []
        return self._find_wanted() if self._plan.uuids else self._find_all()

    def close(self) -> None:
        """Nobody else may be inside NVML now. Raises NvmlError."""
        self._driver.call("", pynvml.nvmlShutdown)

    def _find_wanted(self) -> list[Device]:
        have = {gpu.uuid for gpu in self.gpus}
        found = []
        for uuid in self._plan.uuids:
            if uuid in have:
                continue
            try:
                found.append(self._identified(self._handle(uuid, pynvml.nvmlDeviceGetHandleByUUID, uuid), uuid))
            except NvmlError as problem:
                if problem.meaning.reach is Reach.DRIVER:
                    raise
                absent = problem.number in NO_NEWS
                trouble = Trouble.NOT_VISIBLE if absent else problem.meaning.trouble
                because = "NVML does not know this UUID here (full UUIDs: nvidia-smi -L)" if absent else str(problem)
                self.missing.append(GpuSeen(uuid=uuid, trouble=trouble, because=because))
        self.gpus += found
        return found

    def _find_all(self) -> list[Device]:
        have = {gpu.seen.index for gpu in self.gpus}
        found = []
        for index in range(self._driver.call("", pynvml.nvmlDeviceGetCount)):
            if index in have:
                continue
            try:
                found.append(self._identified(self._handle("", pynvml.nvmlDeviceGetHandleByIndex, index), index=index))
            except NvmlError as problem:
                if problem.meaning.reach is Reach.DRIVER:
                    raise
                because = f"GPU {index} of this machine: {problem}"
                self.missing.append(GpuSeen(uuid="", index=index, trouble=problem.meaning.trouble, because=because))
        self.gpus += found
        return found

    def _handle(self, subject: str, function: Any, key: str | int) -> Any:
        return self._driver.call(subject, function, key, seconds=self._plan.open_seconds)

    def _identified(self, handle: Any, uuid: str = "", index: int = -1) -> Device:
        uuid = uuid or self._driver.call("", pynvml.nvmlDeviceGetUUID, handle)
        gpu = Device(self._driver, handle, GpuSeen(uuid=uuid))
        pci = gpu.ask("bus_id", pynvml.nvmlDeviceGetPciInfo)
        found = gpu.ask("index", pynvml.nvmlDeviceGetIndex) if index < 0 else index
        gpu.note(
            index=-1 if found is None else found,
            name=gpu.ask("name", pynvml.nvmlDeviceGetName) or "",
            bus_id="" if pci is None else pci.busId,
        )
        return gpu
