"""Does the hardware look as the operator said it should? Expected beside real, one finding a question. Pure.

A value that cannot be read is neither right nor wrong: its finding says so, and is not OK either. The PCIe generation
is what card and slot can do together, not what runs now: links slow down when idle to save power.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum

import msgspec

from watchtower.settings import PlacementSettings, StageSettings
from watchtower.vocabulary.gpus import GpuSeen

POWER_TOLERANCE = 0.01
"""Drivers round limits (ratio)."""


class PlacementQuestion(StrEnum):
    """What a stage can expect. Closed: a metric's label."""

    RANKS = "ranks"
    PRESENT = "present"
    MODEL = "model"
    PCIE_GENERATION = "pcie_generation"
    PCIE_WIDTH = "pcie_width"
    NVLINKS = "nvlinks"
    POWER_LIMIT = "power_limit"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    stage: str
    gpu: str = ""
    """UUID; empty for a question about the whole stage."""
    question: PlacementQuestion
    expected: str
    real: str
    ok: bool | None
    """None: it cannot be told."""


def compare(placement: PlacementSettings, gpus: Sequence[GpuSeen]) -> list[Finding]:
    """Every expectation of every stage, in order."""
    return [finding for stage in placement.stages for finding in _stage(stage, gpus)]


def _stage(stage: StageSettings, gpus: Sequence[GpuSeen]) -> Iterator[Finding]:
    seen = {gpu.uuid: gpu for gpu in gpus}
    members = [seen[uuid] for uuid in stage.gpus if uuid in seen] if stage.gpus else list(gpus)
    present = [gpu for gpu in members if gpu.trouble is None]
    ranks = stage.ranks or len(stage.gpus)
    if ranks:
        yield Finding(
            stage=stage.name, question=PlacementQuestion.RANKS, expected=str(ranks), real=str(len(present)),
            ok=len(present) == ranks,
        )  # fmt: skip
    for uuid in stage.gpus:
        if uuid not in seen:
            yield _finding(stage, uuid, PlacementQuestion.PRESENT, "present", "not seen", False)
    for gpu in members:
        if gpu.trouble is not None:
            yield _finding(stage, gpu.uuid, PlacementQuestion.PRESENT, "readable", gpu.trouble.value, False)
        else:
            yield from _gpu(stage, gpu)


def _gpu(stage: StageSettings, gpu: GpuSeen) -> Iterator[Finding]:
    if stage.model:
        right = stage.model.lower() in gpu.name.lower() if gpu.name else None
        yield _finding(stage, gpu.uuid, PlacementQuestion.MODEL, stage.model, gpu.name or "unknown", right)
    numbers: tuple[tuple[PlacementQuestion, float | None, float | None, Callable[[float, float], bool]], ...] = (
        (PlacementQuestion.PCIE_GENERATION, stage.pcie_generation, gpu.pcie_generation_max, _at_least),
        (PlacementQuestion.PCIE_WIDTH, stage.pcie_width, gpu.pcie_width, _at_least),
        (PlacementQuestion.NVLINKS, stage.nvlinks, gpu.nvlink_active, _at_least),
        (PlacementQuestion.POWER_LIMIT, stage.power_limit_watts, gpu.power_limit_watts, _nearly),
    )
    for question, expected, real, fits in numbers:
        if expected is not None:
            shown = "unknown" if real is None else f"{real:g}"
            yield _finding(
                stage, gpu.uuid, question, f"{expected:g}", shown, None if real is None else fits(real, expected)
            )


def _at_least(real: float, expected: float) -> bool:
    return real >= expected


def _nearly(real: float, expected: float) -> bool:
    return abs(real - expected) <= POWER_TOLERANCE * expected


def _finding(
    stage: StageSettings, uuid: str, question: PlacementQuestion, expected: str, real: str, ok: bool | None
) -> Finding:
    return Finding(stage=stage.name, gpu=uuid, question=question, expected=expected, real=real, ok=ok)
