"""Whose GPUs? Which of the GPUs we see the engine computes on. Pure; it would rather not know than guess.

Best first: UUIDs from configuration, then what the visible-devices variables of the engine process name, then the
processes on each GPU. Being shown every GPU is not using it: ``all`` names none. The trap is numbers: CUDA counts
fastest-first unless ``CUDA_DEVICE_ORDER=PCI_BUS_ID``, container runtimes count the host's GPUs, NVML counts the ones
it sees. A number is believed only where all readings of it agree.
Sources: CUDA programming guide (environment variables), NVIDIA Container Toolkit ("Specialized Configurations").
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from watchtower.vocabulary.gpus import GpuSeen, Trouble

CUDA = "CUDA_VISIBLE_DEVICES"
NVIDIA = "NVIDIA_VISIBLE_DEVICES"
ORDER = "CUDA_DEVICE_ORDER"


class Ground(StrEnum):
    """What the answer rests on."""

    CONFIGURATION = "configuration"
    ENVIRONMENT = "environment"
    PROCESSES = "processes"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Selection:
    uuids: tuple[str, ...]
    """In the engine's order where that is known; empty with UNKNOWN, or where the engine has none."""
    ground: Ground
    because: str = ""

    @property
    def known(self) -> bool:
        return self.ground is not Ground.UNKNOWN


def variables(environ: bytes) -> dict[str, str]:
    """The variables of ``/proc/<pid>/environ`` that decide about GPUs; nothing else is kept, nothing is logged."""
    found = {}
    for entry in environ.split(b"\0"):
        name, separator, value = entry.partition(b"=")
        if separator and name.decode("ascii", "replace") in (CUDA, NVIDIA, ORDER):
            found[name.decode("ascii")] = value.decode("utf-8", "replace")
    return found


def select(
    configured: Sequence[str],
    environ: Mapping[str, str] | None,
    gpus: Sequence[GpuSeen],
    pids: Collection[int] = (),
) -> Selection:
    """The engine's GPUs among ``gpus``. ``environ``: its variables, None when they cannot be read; ``pids``: its
    process tree, as this container sees it."""
    if configured:
        return Selection(tuple(configured), Ground.CONFIGURATION)
    whole = [gpu for gpu in gpus if gpu.uuid]
    answer = Selection((), Ground.UNKNOWN, "the engine's environment cannot be read")
    if environ is not None:
        answer = _by_environment(environ, whole)
    if answer.known:
        return answer
    ours = tuple(gpu.uuid for gpu in whole if not set(gpu.processes or ()).isdisjoint(pids))
    if ours:
        return Selection(ours, Ground.PROCESSES)
    return Selection((), Ground.UNKNOWN, f"{answer.because}; no GPU shows one of its processes · set hardware.uuids")


def _by_environment(environ: Mapping[str, str], gpus: Sequence[GpuSeen]) -> Selection:
    injected = _injected(environ.get(NVIDIA), gpus)
    if not injected.known:
        return injected
    text = environ.get(CUDA)
    if text is None:
        if injected.because and len(injected.uuids) != 1:
            return Selection((), Ground.UNKNOWN, injected.because)
        return Selection(injected.uuids, Ground.ENVIRONMENT)
    visible = [gpu for gpu in gpus if gpu.uuid in injected.uuids]
    return _cuda(_cuda_tokens(text), visible, environ.get(ORDER, "") == "PCI_BUS_ID")


def _injected(text: str | None, gpus: Sequence[GpuSeen]) -> Selection:
    """What the container runtime shows to the engine. A known answer with ``because`` is only an upper bound."""
    every = tuple(gpu.uuid for gpu in gpus)
    tokens = [token.strip() for token in (text or "").split(",") if token.strip()]
    if not tokens:  # no container runtime decided
        return Selection(every, Ground.ENVIRONMENT, f"neither {NVIDIA} nor {CUDA} is set")
    if tokens == ["all"]:
        return Selection(every, Ground.ENVIRONMENT, f"{NVIDIA}=all shows it every GPU, but not which it uses")
    if tokens in (["none"], ["void"]):
        # devices may have been given to the container in other ways (privileged, CDI): no statement about them
        return Selection(every, Ground.ENVIRONMENT, f"{NVIDIA}={tokens[0]} says nothing of devices given otherwise")
    if any(token.isdigit() or ":" in token for token in tokens):
        if len(every) == 1:
            return Selection(every, Ground.ENVIRONMENT)
        return Selection((), Ground.UNKNOWN, f"{NVIDIA} counts the host's GPUs, whose order is not known here")
    return _named(tokens, gpus, NVIDIA)


def _cuda_tokens(text: str) -> list[str]:
    """CUDA stops at the first token that is no device: what stands behind −1 is invisible."""
    tokens: list[str] = []
    for token in (part.strip() for part in text.split(",")):
        if not (token.isdigit() or token.startswith(("GPU-", "MIG-"))):
            break
        tokens.append(token)
    return tokens


def _cuda(tokens: list[str], visible: Sequence[GpuSeen], by_bus: bool) -> Selection:
    if not tokens:
        return Selection((), Ground.ENVIRONMENT, f"{CUDA} shows the engine no GPU")
    if len(set(tokens)) < len(tokens):
        return Selection((), Ground.ENVIRONMENT, f"{CUDA} names a GPU twice: CUDA then shows none")
    if not all(token.isdigit() for token in tokens):
        return _named(tokens, visible, CUDA)
    if any(gpu.unavailable.get("utilization") is Trouble.MIG for gpu in visible):
        return Selection((), Ground.UNKNOWN, f"{CUDA} has numbers, and MIG slices are numbered differently")
    ordered = sorted(visible, key=lambda gpu: gpu.bus_id)
    numbers = [int(token) for token in tokens]
    if max(numbers) >= len(ordered):
        return Selection((), Ground.UNKNOWN, f"{CUDA} counts more GPUs than are visible here")
    if by_bus and all(gpu.bus_id for gpu in ordered):
        return Selection(tuple(ordered[number].uuid for number in numbers), Ground.ENVIRONMENT)
    if len(numbers) == len(ordered):  # all of them, in whatever order
        return Selection(tuple(gpu.uuid for gpu in ordered), Ground.ENVIRONMENT)
    return Selection((), Ground.UNKNOWN, f"{CUDA} has numbers and {ORDER} is not PCI_BUS_ID: fastest first is no order")


def _named(tokens: Sequence[str], gpus: Sequence[GpuSeen], variable: str) -> Selection:
    """UUIDs, of which CUDA takes any unambiguous beginning; a slice's old name carries its GPU's UUID."""
    uuids = []
    for token in tokens:
        name = token.removeprefix("MIG-").partition("/")[0] if token.startswith("MIG-GPU-") else token
        matching = [gpu.uuid for gpu in gpus if gpu.uuid.lower().startswith(name.lower())]
        if len(matching) != 1:
            what = (
                "is a MIG slice" if name.startswith("MIG-") else "is ambiguous" if matching else "is not visible here"
            )
            return Selection((), Ground.UNKNOWN, f"{variable}: {name[:48]} {what}")
        uuids += matching
    return Selection(tuple(dict.fromkeys(uuids)), Ground.ENVIRONMENT)
