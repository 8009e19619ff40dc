"""What an NVML error number means for us: how far it reaches, whether it is worth asking again, and our word for it.

Compared by number only: pynvml's exceptions are unhashable and their ``==`` fails beside foreign objects.
Sources: nvml.h of API 13, and the threads on UNKNOWN after ``systemctl daemon-reload`` (device cgroup lost).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import pynvml

from watchtower.vocabulary.errors import WatchtowerError
from watchtower.vocabulary.gpus import Trouble


class Reach(Enum):
    VALUE = "value"
    GPU = "gpu"
    """The handle is of no use any more; the siblings go on."""
    DRIVER = "driver"
    """Nothing can be read in this process any more."""


@dataclass(frozen=True)
class ErrorMeaning:
    trouble: Trouble
    reach: Reach = Reach.VALUE
    permanent: bool = False
    """Asking the same of the same GPU again is of no use until its MIG mode or the driver changes."""


UNKNOWN: int = pynvml.NVML_ERROR_UNKNOWN
NO_NEWS: frozenset[int] = frozenset(
    (pynvml.NVML_ERROR_NOT_FOUND, pynvml.NVML_ERROR_INVALID_ARGUMENT, pynvml.NVML_ERROR_NO_DATA)
)
"""Of a call for samples: nothing new. (pynvml passes an empty array where there is none: INVALID_ARGUMENT.)"""

_UNSUPPORTED = ErrorMeaning(Trouble.NOT_SUPPORTED, permanent=True)
_MEANINGS: dict[int, ErrorMeaning] = {
    pynvml.NVML_ERROR_UNINITIALIZED: ErrorMeaning(Trouble.DRIVER_ABSENT, Reach.DRIVER),
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: ErrorMeaning(Trouble.DRIVER_ABSENT, Reach.DRIVER),
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: ErrorMeaning(Trouble.DRIVER_ABSENT, Reach.DRIVER),
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: ErrorMeaning(Trouble.DRIVER_MISMATCH, Reach.DRIVER),
    pynvml.NVML_ERROR_GPU_IS_LOST: ErrorMeaning(Trouble.LOST, Reach.GPU),
    pynvml.NVML_ERROR_GPU_NOT_FOUND: ErrorMeaning(Trouble.LOST, Reach.GPU),
    pynvml.NVML_ERROR_RESET_REQUIRED: ErrorMeaning(Trouble.RESET_REQUIRED, Reach.GPU),
    pynvml.NVML_ERROR_NOT_SUPPORTED: _UNSUPPORTED,
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND: _UNSUPPORTED,
    pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH: _UNSUPPORTED,
    pynvml.NVML_ERROR_DEPRECATED: _UNSUPPORTED,
    pynvml.NVML_ERROR_VGPU_ECC_NOT_SUPPORTED: _UNSUPPORTED,
    pynvml.NVML_ERROR_NO_PERMISSION: ErrorMeaning(Trouble.NO_PERMISSION, permanent=True),
    pynvml.NVML_ERROR_OPERATING_SYSTEM: ErrorMeaning(Trouble.NO_PERMISSION),
}


class NvmlError(WatchtowerError):
    """A call into NVML did not succeed."""

    def __init__(self, number: int, call: str) -> None:
        super().__init__(f"NVML error {number} ({_words(number)}) from {call}")
        self.number = number
        self.meaning = meaning(number)


def meaning(number: int) -> ErrorMeaning:
    return _MEANINGS.get(number, ErrorMeaning(Trouble.FAULT))


def _words(number: int) -> str:
    """NVML's own words, from pynvml's table alone: asking the library could hang."""
    words: dict[int, str] = pynvml.NVMLError._errcode_to_string
    return words.get(number, "no text").rstrip(".").lower()
