"""Field values: many counters in one call. The call may succeed while single fields fail, so each is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pynvml

from watchtower.hardware.nvml.device import Device
from watchtower.hardware.nvml.meanings import meaning
from watchtower.vocabulary.gpus import Trouble

Field = tuple[int, int]
"""(field id, scope), scope being a link number where the field has one."""

_MEMBER = {
    pynvml.NVML_VALUE_TYPE_DOUBLE: "dVal",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_INT: "uiVal",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG: "ulVal",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG: "ullVal",
    pynvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG: "sllVal",
    pynvml.NVML_VALUE_TYPE_SIGNED_INT: "siVal",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_SHORT: "usVal",
}


def number(kind: int, union: Any) -> float | int | None:
    """The member that ``kind`` names (another one would be truncated silently); None for an unknown kind."""
    member = _MEMBER.get(kind)
    if member is None:
        return None
    value: float | int = getattr(union, member)
    return value


def read_fields(gpu: Device, value: str, fields: Sequence[Field]) -> dict[Field, int | Trouble]:
    """Each field's count, or why it has none; empty when the call as a whole failed. Raises NvmlError."""
    answers = gpu.ask(value, pynvml.nvmlDeviceGetFieldValues, list(fields))
    if answers is None:
        return {}
    found: dict[Field, int | Trouble] = {}
    for field, answer in zip(fields, answers, strict=True):
        if answer.nvmlReturn != pynvml.NVML_SUCCESS:
            found[field] = meaning(answer.nvmlReturn).trouble
            continue
        count = number(answer.valueType, answer.value)
        found[field] = Trouble.FAULT if count is None else int(count)
    return found


def worst(troubles: Sequence[Trouble]) -> Trouble:
    """What to say of a value made of several fields that all failed: a fault before a refusal."""
    for trouble in troubles:
        if trouble is not Trouble.NOT_SUPPORTED:
            return trouble
    return Trouble.NOT_SUPPORTED
