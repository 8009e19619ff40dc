"""``watchtower bench gpu``: what reading the GPUs costs, as the share of one core that the gpu child uses.

Measured on whatever NVML the machine has. Without a driver, and from a source checkout with gcc, on the test suite's
library with NVML's ABI (8 GPUs): then it is the cost of our side alone, and the result says so.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from watchtower.clock import boottime
from watchtower.hardware.plan import GpuPlan
from watchtower.vocabulary.errors import NotReachable
from watchtower.vocabulary.facts import GpuReport

STUB = Path(__file__).resolve().parents[2] / "tests" / "hardware" / "nvml_stub.c"
STUB_GPUS = 8
WARM_UP_SECONDS = 5.0
BUDGET = 0.01
"""Of one core, for 8 GPUs."""


class GpuBench(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement."""

    gpus: int
    driver: str
    """Whose library answered."""
    seconds: float
    reports: int
    core_share: float
    """CPU time of the child over elapsed time; 1 is a whole core."""
    resident_bytes: int
    machine: str
    within_budget: bool

    def lines(self) -> list[str]:
        verdict = "within" if self.within_budget else "ABOVE"
        return [
            f"gpu child: {self.core_share:.2%} of a core for {self.gpus} GPUs, {verdict} the budget of {BUDGET:.0%}",
            f"  {self.reports} reports in {self.seconds:.0f} s · {self.resident_bytes / 2**20:.0f} MiB resident",
            f"  NVML: {self.driver}",
            f"  machine: {self.machine}",
        ]


def bench_gpu(seconds: float = 30.0) -> GpuBench:
    """Run the gpu child for so long. Raises NotReachable where neither a driver nor the stub can be had."""
    with tempfile.TemporaryDirectory() as scratch:
        for driver, environment in _libraries(Path(scratch)):
            with _child(environment) as child:
                first = _report(child)
                if first.trouble is None and first.gpus:
                    return _measured(child, first, driver, seconds)
    raise NotReachable("no NVIDIA driver here, and no source checkout with gcc to stand in for it")


def _measured(child: subprocess.Popen[bytes], first: GpuReport, driver: str, seconds: float) -> GpuBench:
    until = boottime() + WARM_UP_SECONDS
    while boottime() < until:
        _report(child)
    started_at, used = boottime(), _cpu_seconds(child.pid)
    reports = 0
    while (elapsed := boottime() - started_at) < seconds:
        _report(child)
        reports += 1
    share = (_cpu_seconds(child.pid) - used) / elapsed
    return GpuBench(
        gpus=len(first.gpus),
        driver=driver,
        seconds=elapsed,
        reports=reports,
        core_share=share,
        resident_bytes=_resident_bytes(child.pid),
        machine=_machine(),
        within_budget=share <= BUDGET,
    )


def _libraries(scratch: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Where NVML may come from, best first."""
    yield "this machine's driver", dict(os.environ)
    if STUB.exists() and shutil.which("gcc") is not None:
        library = scratch / "libnvidia-ml.so.1"
        flags = ("-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-pthread", "-Wl,-soname,libnvidia-ml.so.1")
        subprocess.run(["gcc", *flags, "-o", library, STUB], check=True)
        scenario = scratch / "scenario"
        scenario.write_text(f"gpus {STUB_GPUS}\n")
        environment = {"LD_LIBRARY_PATH": str(scratch), "NVML_STUB_SCENARIO": str(scenario)}
        yield "a library with NVML's ABI and no GPU behind it: our side's cost alone", {**os.environ, **environment}


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


def _machine() -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} × {model}, load {load:.1f}, Python {platform.python_version()}"
