"""What reading the GPUs costs: the CPU time of the gpu child, as a share of one core.

Measured on whatever NVML the machine has. Without a driver, on our library with NVML's ABI (8 GPUs): then it is the
cost of our side alone, and the result says so.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from watchtower.clock import boottime
from watchtower.hardware.gpu_plan import GpuPlan
from watchtower.lab.benchmarks.budgets import Budget
from watchtower.lab.benchmarks.host import Machine, this_machine
from watchtower.lab.simulator import nvml_stub
from watchtower.vocabulary.errors import NotReachable
from watchtower.vocabulary.facts import GpuReport

STUB_GPUS = 8
WARM_UP_SECONDS = 5.0
LIMIT_PERCENT = 1.0
"""Of one core, for 8 GPUs."""
DRIVER = "this machine's driver"
STAND_IN = "a library with NVML's ABI and no GPU behind it: our side's cost alone"


class GpuCost(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement."""

    machine: Machine
    gpus: int
    nvml: str
    """Whose library answered."""
    seconds: float
    reports: int
    core_share: float
    """CPU time of the child over elapsed time; 1 is a whole core."""
    resident_bytes: int

    @property
    def budgets(self) -> list[Budget]:
        what = f"gpu child, {self.gpus} GPUs"
        return [Budget(what=what, limit=LIMIT_PERCENT, measured=self.core_share * 100, unit="% of a core")]


def measure(seconds: float = 30.0) -> GpuCost:
    """Run the gpu child for so long. Raises NotReachable where there is neither a driver nor a C compiler."""
    machine = this_machine({})
    with _child(dict(os.environ)) as child:
        first = _report(child)
        if first.trouble is None and first.gpus:
            return _measured(child, first, DRIVER, machine, seconds)
    with tempfile.TemporaryDirectory() as scratch, _child(_stub_environment(Path(scratch))) as child:
        return _measured(child, _report(child), STAND_IN, machine, seconds)


def _stub_environment(scratch: Path) -> dict[str, str]:
    scenario = scratch / "scenario"
    scenario.write_text(f"gpus {STUB_GPUS}\n")
    try:
        library = nvml_stub.built(nvml_stub.user_cache(os.environ))
    except NotReachable as problem:
        raise NotReachable(f"there is no NVIDIA driver here, and {problem}") from problem
    except OSError:  # no home, or one that may not be written to
        library = nvml_stub.built(scratch)
    return {**os.environ, "LD_LIBRARY_PATH": str(library), "NVML_STUB_SCENARIO": str(scenario)}


def _measured(child: subprocess.Popen[bytes], first: GpuReport, nvml: str, machine: Machine, seconds: float) -> GpuCost:
    until = boottime() + WARM_UP_SECONDS
    while boottime() < until:
        _report(child)
    started_at, used = boottime(), _cpu_seconds(child.pid)
    reports = 0
    while (elapsed := boottime() - started_at) < seconds:
        _report(child)
        reports += 1
    return GpuCost(
        machine=machine,
        gpus=len(first.gpus),
        nvml=nvml,
        seconds=elapsed,
        reports=reports,
        core_share=(_cpu_seconds(child.pid) - used) / elapsed,
        resident_bytes=_resident_bytes(child.pid),
    )


@contextmanager
def _child(environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "watchtower.programs.gpu", msgspec.json.encode(GpuPlan()).decode()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as child:
        try:
            yield child
        finally:
            child.kill()


def _report(child: subprocess.Popen[bytes]) -> GpuReport:
    for line in child.stdout or ():
        if line.strip():
            return msgspec.json.decode(line, type=GpuReport)
    raise NotReachable("the gpu child ended")


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
