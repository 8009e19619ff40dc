"""The knobs of the GPUs: where their readings come from, and what the hardware should look like."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from watchtower.knobs import Group

GpuUuid = Annotated[str, Field(pattern=r"^(GPU|MIG)-[0-9A-Za-z/_-]+$")]


class HardwareSettings(Group):
    """The GPUs that serve: where their readings come from, and which of them belong together."""

    source: Literal["auto", "nvml", "dcgm", "simulated", "none"] = "auto"
    """``nvml``: the driver on this machine. ``dcgm``: a dcgm-exporter. ``auto``: NVML, and dcgm-exporter where there is
    no driver and ``dcgm_url`` is set. ``simulated``: what the demo's engine makes up; in profile demo alone."""
    uuids: tuple[GpuUuid, ...] = ()
    """Full UUIDs of the engine's GPUs (``nvidia-smi -L``); empty: all that are visible, or those of ``groups``."""
    groups: tuple[tuple[GpuUuid, ...], ...] = ()
    """GPUs that share one model's work (the ranks of one tensor-parallel group), as lists of UUIDs; only they are
    compared with each other. Empty: all GPUs of the engine are one group."""
    dcgm_url: str = ""
    """The dcgm-exporter's metrics, e.g. ``http://127.0.0.1:9400/metrics``."""
    poll_seconds: Annotated[float, Field(ge=0.2, le=60)] = 1.0
    """How often NVML is read; a dcgm-exporter at most every 5 s, since its own interval is longer."""

    @model_validator(mode="after")
    def _one_group_for_a_gpu(self) -> HardwareSettings:
        grouped = [uuid for group in self.groups for uuid in group]
        twice = sorted({uuid for uuid in grouped if grouped.count(uuid) > 1})
        if twice:
            raise ValueError(f"{twice[0]} stands in hardware.groups twice · a GPU works in one group")
        if self.source == "dcgm" and not self.dcgm_url:
            raise ValueError("source 'dcgm' needs hardware.dcgm_url · e.g. http://127.0.0.1:9400/metrics")
        return self

    def wanted(self) -> tuple[str, ...]:
        """UUIDs named anywhere, in order; empty: all that are visible."""
        return tuple(dict.fromkeys((*self.uuids, *(uuid for group in self.groups for uuid in group))))


class StageSettings(Group):
    """What one pipeline stage (one tensor-parallel group) should run on. Only GPUs of the same stage are compared."""

    name: str = "all"
    """Appears in the table and as a metric's label."""
    gpus: tuple[GpuUuid, ...] = ()
    """UUIDs in rank order; empty, with one stage: every GPU that is seen."""
    ranks: Annotated[int, Field(ge=0)] = 0
    """How many GPUs; 0: as many as ``gpus`` names."""
    model: str = ""
    """Part of the GPU's name, e.g. ``H100 80GB``."""
    pcie_generation: int | None = None
    """At least, of what card and slot can do together."""
    pcie_width: int | None = None
    """Lanes, at least."""
    nvlinks: int | None = None
    """Links that must be up."""
    power_limit_watts: float | None = None
    """The enforced limit."""


class PlacementSettings(Group):
    """What the hardware should look like; ``watchtower placement`` says where it does not."""

    stages: tuple[StageSettings, ...] = ()
    """One for each pipeline stage; cards may differ between stages, not inside one."""

    @model_validator(mode="after")
    def _several_stages_share_no_gpu(self) -> PlacementSettings:
        if len(self.stages) > 1 and not all(stage.gpus for stage in self.stages):
            raise ValueError(
                "with several stages nobody knows whose GPU is whose · name the UUIDs in each stage's gpus"
            )
        named = [uuid for stage in self.stages for uuid in stage.gpus]
        if len(named) != len(set(named)):
            raise ValueError("a GPU stands in two stages · name each UUID once")
        if len({stage.name for stage in self.stages}) != len(self.stages):
            raise ValueError("two stages have the same name · give each stage its own name")
        return self
