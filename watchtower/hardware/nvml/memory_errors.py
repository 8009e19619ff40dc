"""Memory that fails: ECC counts since the driver loaded, row remapping, and what the driver asks to be done."""

from __future__ import annotations

import pynvml

from watchtower.hardware.nvml.device import Device
from watchtower.hardware.nvml.fields import Field, read_fields
from watchtower.vocabulary.gpus import Trouble

RECOVERY: Field = (pynvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION, 0)
ACTIONS = {0: "none", 1: "reset", 2: "reboot", 3: "drain_p2p", 4: "drain_and_reset", 5: "imex"}


def read_memory_errors(gpu: Device) -> None:
    """Raises NvmlError."""
    volatile = pynvml.NVML_VOLATILE_ECC
    corrected = gpu.ask(
        "ecc_corrected", pynvml.nvmlDeviceGetTotalEccErrors, pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED, volatile
    )
    uncorrected = gpu.ask(
        "ecc_uncorrected", pynvml.nvmlDeviceGetTotalEccErrors, pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, volatile
    )
    rows = gpu.ask("remap_pending", pynvml.nvmlDeviceGetRemappedRows)
    gpu.note(
        ecc_corrected=corrected,
        ecc_uncorrected=uncorrected,
        remap_pending=None if rows is None else bool(rows[2]),
        remap_failed=None if rows is None else bool(rows[3]),
        recovery_action=_recovery_action(gpu),
    )


def _recovery_action(gpu: Device) -> str | None:
    answer = read_fields(gpu, "recovery_action", (RECOVERY,)).get(RECOVERY)
    if isinstance(answer, Trouble):
        gpu.cannot("recovery_action", answer)
        return None
    return None if answer is None else ACTIONS.get(answer, f"action {answer}")
