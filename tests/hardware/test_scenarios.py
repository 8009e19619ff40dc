"""What each state of driver and GPUs reads as, through the real child, the real pynvml and a library with NVML's ABI.

The table is the test; the last test prints it (``pytest -s``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from tests.hardware.machine import QUICK, Child, Machine, sampled, uuid
from watchtower.vocabulary.facts import GpuReport
from watchtower.vocabulary.gpus import GpuSeen

HEALTHY = "util 95 % · SM 62 % · 1980 MHz · 420/700 W · 61 °C"
ABSENT = "no NVIDIA driver here, or the container lacks the capability 'utility'"
REPLACED = "the driver was replaced: restart the container (or the machine)"
HANG = "nvmlDeviceGetPowerUsage for GPU-00000005-0000-4000-8000-000000000005 has not returned for 1 s"


@dataclass(frozen=True)
class Scenario:
    name: str
    reads: str
    before: tuple[str, ...] = ("gpus 8",)
    then: tuple[str, ...] = ()
    """What changes once everything was read well."""
    library: str = "new"
    wanted: tuple[str, ...] = ()


SCENARIOS = (
    Scenario("healthy 8×H100", f"0-7: {HEALTHY}"),
    Scenario(
        "thermal throttling",
        f"0-2,4-7: {HEALTHY} | 3: util 95 % · SM 62 % · 1200 MHz · 420/700 W · 88 °C · reasons 0x40 · thermal 60 %",
        ("gpus 8", "set 3 clock 1200", "set 3 temperature 88", "set 3 reasons 64", "set 3 permille_270 600"),
    ),
    Scenario(
        "power brake",
        f"0-1,3-7: {HEALTHY} | 2: util 95 % · SM 62 % · 990 MHz · 420/700 W · 61 °C · reasons 0x80 · power_brake 100 %",
        ("gpus 8", "set 2 clock 990", "set 2 reasons 128", "set 2 permille_271 1000"),
    ),
    Scenario(
        "lower power cap on one GPU",
        f"0-4,6-7: {HEALTHY} | 5: util 95 % · SM 62 % · 1410 MHz · 349/350 W · 61 °C · reasons 0x4 · power_cap 90 %",
        (
            "gpus 8",
            "set 5 limit_mw 350000",
            "set 5 power_mw 349000",
            "set 5 clock 1410",
            "set 5 reasons 4",
            "set 5 permille_74 900",
        ),
    ),
    Scenario(
        "falls off the bus mid-run (error 15)",
        f"0-5,7: {HEALTHY} | 6: LOST: NVML error 15 (gpu is lost)",
        then=("gpus 8", "fail 6 * 15"),
    ),
    Scenario(
        "Xid 79",
        f"0-3,5-7: {HEALTHY} | 4: LOST: Xid 79: it fell off the bus | xid 79 on 4",
        then=("gpus 8", "xid 4 79"),
    ),
    Scenario("Xid 31 (application)", f"0-7: {HEALTHY} | xid 31 on 2", then=("gpus 8", "xid 2 31")),
    Scenario(
        "reset required (error 16)",
        f"0,2-7: {HEALTHY} | 1: RESET_REQUIRED: NVML error 16 (gpu requires restart)",
        then=("gpus 8", "fail 1 * 16"),
    ),
    Scenario(
        "one GPU answers only 'unknown error'",
        f"0-6: {HEALTHY} | 7: LOST: every call ends in an unknown error: the GPU fell off the bus, or this container"
        " lost its devices",
        then=("gpus 8", "fail 7 * 999"),
    ),
    Scenario(
        "all answer only 'unknown error' (daemon-reload)",
        "FAULT: every GPU answers with an unknown error: this container lost its devices"
        " (systemctl daemon-reload does that); it has to be created again",
        then=("gpus 8", "fail * * 999"),
    ),
    Scenario(
        "MIG, seen from a slice's container",
        "0: SM 62 % · 1980 MHz · 420/700 W · 61 °C · no memory_used_bytes (no_permission), utilization (mig)"
        f" | 1-7: {HEALTHY}",
        ("gpus 8", "set 0 mig 1", "fail 0 nvmlDeviceGetMemoryInfo 4"),
    ),
    Scenario(
        "vGPU guest",
        "0: util 95 % (points) · no dram_active, power_limit_watts, power_watts, sm_active, sm_clock_hz,"
        " temperature_celsius, throttle_reasons, throttled_ns (not_supported)",
        (
            "gpus 1",
            "fail 0 nvmlDeviceGetSamples 3",
            "fail 0 nvmlDeviceGetPowerUsage 3",
            "fail 0 nvmlDeviceGetEnforcedPowerLimit 3",
            "fail 0 nvmlDeviceGetTemperature 3",
            "fail 0 nvmlDeviceGetTemperatureV 3",
            "fail 0 nvmlDeviceGetClockInfo 3",
            "fail 0 nvmlDeviceGetCurrentClocksEventReasons 3",
            "fail 0 nvmlDeviceGetCurrentClocksThrottleReasons 3",
            "fail 0 nvmlDeviceGetFieldValues 3",
            "fail 0 nvmlDeviceGetViolationStatus 3",
            "set 0 gpm 0",
        ),
    ),
    Scenario(
        "no permission for one GPU",
        f"0-1,3-7: {HEALTHY} | 2: NO_PERMISSION: GPU 2 of this machine: NVML error 4 (insufficient permissions)",
        ("gpus 8", "fail 2 nvmlDeviceGetHandleByIndex_v2 4"),
    ),
    Scenario(
        "a configured UUID is not here",
        f"1: {HEALTHY} | -1: NOT_VISIBLE: NVML does not know this UUID here (full UUIDs: nvidia-smi -L)",
        wanted=(uuid(1), "GPU-ffffffff-0000-4000-8000-000000000000"),
    ),
    Scenario(
        "no GPU given to the container",
        "NOT_VISIBLE: NVML answers, but shows no GPU (NVIDIA_VISIBLE_DEVICES of this container?)",
        ("gpus 0",),
    ),
    Scenario(
        "hang in one call",
        f"DRIVER_WEDGED: {HANG}",
        then=("gpus 8", "hang 5 nvmlDeviceGetPowerUsage"),
    ),
    Scenario(
        "hang while opening",
        "DRIVER_WEDGED: nvmlInit has not returned for 1 s",
        ("gpus 8", "hang * nvmlInitWithFlags"),
    ),
    Scenario(
        "no driver loaded",
        f"DRIVER_ABSENT: NVML error 9 (driver not loaded) from nvmlInit · {ABSENT}",
        ("gpus 8", "fail * nvmlInitWithFlags 9"),
    ),
    Scenario(
        "no library",
        f"DRIVER_ABSENT: NVML error 12 (nvml shared library not found) from nvmlInit · {ABSENT}",
        library="none",
    ),
    Scenario(
        "driver and library do not match",
        f"DRIVER_MISMATCH: NVML error 18 (rm has detected an nvml/rm version mismatch) from nvmlInit · {REPLACED}",
        ("gpus 8", "fail * nvmlInitWithFlags 18"),
    ),
    Scenario(
        "driver unloaded mid-run",
        f"DRIVER_ABSENT: NVML error 9 (driver not loaded) · {ABSENT}",
        then=("gpus 8", "fail * * 9"),
    ),
    Scenario(
        "degrading memory",
        f"0: {HEALTHY} · 7 corrected · remap pending · asks reset | 1: {HEALTHY}",
        ("gpus 2", "set 0 ecc_corrected 7", "set 0 remap_pending 1", "set 0 recovery 1"),
    ),
    Scenario(
        "links down, links failing, PCIe trained down",
        f"0: {HEALTHY} · 14/18 links | 1: {HEALTHY} · 12 link errors | 2: {HEALTHY} · PCIe 3×8 of 5×16"
        f" | 3: {HEALTHY} · 9 link errors",
        (
            "gpus 4",
            "set 0 links_down 4",
            "set 1 link_errors 12",
            "set 2 pcie_generation 3",
            "set 2 pcie_width 8",
            "set 3 blackwell 1",
            "set 3 link_errors 9",
        ),
    ),
    Scenario(
        "a driver of 2022",
        "0: util 95 % · 1200 MHz · 420/700 W · 88 °C · reasons 0x40 · thermal 60 %"
        " · no dram_active, sm_active (not_supported)",
        (
            "gpus 1",
            "set 0 gpm 0",
            "set 0 old_counters 1",
            "set 0 clock 1200",
            "set 0 temperature 88",
            "set 0 reasons 64",
            "set 0 permille_75 600",
        ),
        library="old",
    ),
)

TABLE: dict[str, str] = {}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_each_state_has_its_reading(scenario: Scenario, tmp_path: Path, library: Path, old_library: Path) -> None:
    machine = Machine(tmp_path, {"new": library, "old": old_library, "none": None}[scenario.library])
    machine.scene(*scenario.before)
    with machine.child(msgspec.structs.replace(QUICK, uuids=scenario.wanted)) as child:
        TABLE[scenario.name] = read(scenario, machine, child)
    assert TABLE[scenario.name] == scenario.reads


def test_the_table_is_printed() -> None:
    width = max(map(len, TABLE), default=0)
    print()
    for name, reads in TABLE.items():
        print(f"{name:<{width}}  {reads}")
    assert len(TABLE) in (0, len(SCENARIOS)), "run the whole file"


def test_the_manual_shows_this_table() -> None:
    manual = (Path(__file__).resolve().parents[2] / "docs" / "gpu.md").read_text(encoding="utf-8")
    assert [row for row in map(manual_row, SCENARIOS) if row not in manual.splitlines()] == []


def manual_row(scenario: Scenario) -> str:
    reads = scenario.reads if scenario is SCENARIOS[0] else scenario.reads.replace(HEALTHY, "healthy")
    return f"| {scenario.name} | {reads.replace(' | ', '<br>')} |"


def read(scenario: Scenario, machine: Machine, child: Child) -> str:
    """The reading of the state, once it has settled."""
    if scenario.then:
        child.report(sampled)
        machine.scene(*scenario.then)
        if any(line.startswith("xid") for line in scenario.then):
            heard = child.report(lambda report: report.xids)
            return described(child.report(sampled), heard, heard)
        settled = child.report(lambda report: report.trouble or any(gpu.trouble for gpu in report.gpus))
        return described(settled if settled.trouble else child.report(lambda r: r.trouble or sampled(r)))
    first = child.report(lambda report: report.trouble or sampled(report))
    if first.trouble:
        return described(first)
    return described(child.report(lambda report: sampled(report) and long_after(first, report)), first)


def long_after(first: GpuReport, report: GpuReport) -> bool:
    """Where time is counted: far enough apart that a reading which came late is not taken for throttling."""
    counted = {gpu.uuid: gpu.counted_at for gpu in first.gpus if any(gpu.throttled_ns.values())}
    return all(
        gpu.counted_at - (counted.get(gpu.uuid) or gpu.counted_at - 2) >= 2 for gpu in report.gpus if gpu.counted_at
    )


def without_call(because: str) -> str:
    """Without the call of a GPU, which is chance."""
    return re.sub(r" from nvmlDevice\w+", "", because)


def described(report: GpuReport, before: GpuReport | None = None, heard: GpuReport | None = None) -> str:
    if report.trouble is not None:
        return f"{report.trouble.name}: {without_call(report.because)}"
    old = {gpu.uuid: gpu for gpu in before.gpus} if before is not None else {}
    alike: dict[str, list[int]] = {}
    for gpu in sorted(report.gpus, key=lambda gpu: (gpu.index < 0, gpu.index)):
        alike.setdefault(words(gpu, old.get(gpu.uuid)), []).append(gpu.index)
    parts = [f"{ranges(indexes)}: {text}" for text, indexes in alike.items()]
    parts += [f"xid {xid.number} on {int(xid.uuid[-1], 16)}" for xid in (heard.xids if heard is not None else [])]
    return " | ".join(parts)


def words(gpu: GpuSeen, before: GpuSeen | None) -> str:
    if gpu.trouble is not None:
        assert gpu.sm_clock_hz is gpu.power_watts is None, "nothing may be said of what cannot be read"
        return f"{gpu.trouble.name}: {without_call(gpu.because)}"
    parts = []
    if gpu.utilization:
        mean = sum(sample.busy for sample in gpu.utilization) / len(gpu.utilization)
        parts.append(f"util {mean:.0%}".replace("%", " %") + (" (points)" if gpu.point_sampled else ""))
    if gpu.sm_active is not None:
        parts.append(f"SM {gpu.sm_active * 100:.0f} %")
    if gpu.sm_clock_hz is not None:
        parts.append(f"{gpu.sm_clock_hz / 1e6:.0f} MHz")
    if gpu.power_watts is not None:
        parts.append(f"{gpu.power_watts:.0f}/{gpu.power_limit_watts:.0f} W")
    if gpu.temperature_celsius is not None:
        parts.append(f"{gpu.temperature_celsius:.0f} °C")
    if gpu.throttle_reasons:
        parts.append(f"reasons {gpu.throttle_reasons:#x}")
    for reason, nanoseconds in gpu.throttled_ns.items():
        if before is not None and nanoseconds > before.throttled_ns[reason]:
            assert gpu.counted_at is not None
            assert before.counted_at is not None
            share = (nanoseconds - before.throttled_ns[reason]) / (gpu.counted_at - before.counted_at) / 1e9
            parts.append(f"{reason} {round(share, 1):.0%}".replace("%", " %"))
    if gpu.ecc_corrected:
        parts.append(f"{gpu.ecc_corrected} corrected")
    if gpu.remap_pending:
        parts.append("remap pending")
    if gpu.recovery_action not in (None, "none"):
        parts.append(f"asks {gpu.recovery_action}")
    if gpu.nvlink_errors:
        parts.append(f"{gpu.nvlink_errors} link errors")
    if gpu.nvlink_total and gpu.nvlink_active != gpu.nvlink_total:
        parts.append(f"{gpu.nvlink_active}/{gpu.nvlink_total} links")
    if (gpu.pcie_generation, gpu.pcie_width) != (gpu.pcie_generation_max, gpu.pcie_width_max):
        parts.append(f"PCIe {gpu.pcie_generation}×{gpu.pcie_width} of {gpu.pcie_generation_max}×{gpu.pcie_width_max}")
    missing: dict[str, list[str]] = {}
    for value, trouble in sorted(gpu.unavailable.items()):
        if not value.startswith(("nvlink", "recovery")):
            missing.setdefault(trouble.value, []).append(value)
    if missing:
        parts.append("no " + ", ".join(f"{', '.join(values)} ({trouble})" for trouble, values in missing.items()))
    return " · ".join(parts)


def ranges(numbers: list[int]) -> str:
    """0, 1, 2, 5 → ``0-2,5``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)
