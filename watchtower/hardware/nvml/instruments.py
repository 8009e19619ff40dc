"""All readers of one GPU, each at its own period, and what they make of it: one ``GpuSeen``."""

from __future__ import annotations

import pynvml

from watchtower.hardware.gpu_plan import GpuPlan
from watchtower.hardware.nvml.clocks import read_clock_limit, read_clocks, read_throttled
from watchtower.hardware.nvml.compute_processes import read_processes
from watchtower.hardware.nvml.device import Device
from watchtower.hardware.nvml.gpm import Gpm
from watchtower.hardware.nvml.links import Links
from watchtower.hardware.nvml.meanings import NvmlError, Reach
from watchtower.hardware.nvml.memory_errors import read_memory_errors
from watchtower.hardware.nvml.utilization import Utilization
from watchtower.hardware.nvml.vitals import read_power_limit, read_vitals
from watchtower.vocabulary.gpus import GpuSeen, Trouble, UtilizationSample
from watchtower.vocabulary.instants import Instant

SILENT = "every call ends in an unknown error: the GPU fell off the bus, or this container lost its devices"


class Period:
    """Due every so often. Early by half a poll counts: a late tick must not cost a whole period."""

    def __init__(self, seconds: float, poll_seconds: float) -> None:
        self._seconds = seconds
        self._slack = poll_seconds / 2
        self._next: float | None = None

    def due(self, now: float) -> bool:
        if self._next is not None and now < self._next - self._slack:
            return False
        self._next = now + self._seconds
        return True


class Instruments:
    def __init__(self, gpu: Device, plan: GpuPlan) -> None:
        self.gpu = gpu
        self._samples = Period(plan.samples_seconds, plan.poll_seconds)
        self._counters = Period(plan.counters_seconds, plan.poll_seconds)
        self._processes = Period(plan.processes_seconds, plan.poll_seconds)
        self._utilization = Utilization(plan.ring_seconds)
        self._gpm = Gpm()
        self._links = Links()
        self.silent = False
        """At the last look every call of this GPU ended in an unknown error."""

    def read(self, now: Instant) -> GpuSeen:
        """Raises NvmlError only for the driver as a whole."""
        gpu = self.gpu
        self.silent = False
        if gpu.seen.trouble is not None:
            return gpu.seen  # gone for this process: not touched again
        try:
            samples = self._read(now)
        except NvmlError as problem:
            if problem.meaning.reach is Reach.DRIVER:
                raise
            gpu.gone(problem.meaning.trouble, str(problem))
            return gpu.seen
        self.silent = gpu.silent()
        if self.silent:
            seen = gpu.seen
            return GpuSeen(
                uuid=seen.uuid,
                index=seen.index,
                name=seen.name,
                bus_id=seen.bus_id,
                trouble=Trouble.LOST,
                because=SILENT,
            )
        return gpu.snapshot(utilization=samples, point_sampled=self._utilization.without_ring(gpu))

    def close(self) -> None:
        self._gpm.close()

    def _read(self, now: Instant) -> list[UtilizationSample]:
        gpu = self.gpu
        if self._counters.due(now.boot):
            self._look_at_mode()
            read_power_limit(gpu)
            read_clock_limit(gpu)
            read_throttled(gpu)
            read_memory_errors(gpu)
            self._links.read(gpu)
            gpu.note(counted_at=now.boot)
        read_clocks(gpu)
        read_vitals(gpu)
        samples: list[UtilizationSample] = []
        if self._samples.due(now.boot):
            samples = self._utilization.read(gpu, now)
            self._gpm.read(gpu, now.boot)
        if self._utilization.without_ring(gpu):
            samples = self._utilization.point(gpu, now)
        if self._processes.due(now.boot):
            read_processes(gpu)
        return samples

    def _look_at_mode(self) -> None:
        gpu = self.gpu
        modes = gpu.ask("mig", pynvml.nvmlDeviceGetMigMode)
        gpu.can("mig")  # a GPU that knows no MIG is in no trouble
        gpu.changed_mode(gpu.uuid.startswith("MIG-") or (modes is not None and modes[0] == 1))
