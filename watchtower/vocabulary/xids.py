"""What the driver's own error numbers (Xids) mean, and how far each reaches. One line a number, for people at night.

Facts: NVIDIA, "XID Errors" catalogue of October 2025, as compiled by leptonai/gpud; NVIDIA/open-gpu-kernel-modules#1355
for the NVLink numbers. A number that is not listed is told with its number and judged by nobody: vendors add some with
every driver, and most are an application's own fault.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec


class XidKind(StrEnum):
    FATAL = "fatal"
    """The GPU (or its links) cannot go on serving: it needs a reset, a reboot or a person."""
    APPLICATION = "application"
    """One process did wrong or was hit; the GPU goes on. The process shows elsewhere: dead, hung or well."""
    OTHER = "other"
    """A note of the driver, the echo of another Xid, or unknown to us."""


class XidMeaning(msgspec.Struct, frozen=True):
    kind: XidKind
    text: str


_RESET, _REBOOT = "needs a reset", "needs a reboot"
XIDS: Final[dict[int, XidMeaning]] = {
    13: XidMeaning(XidKind.APPLICATION, "a kernel faulted"),
    31: XidMeaning(XidKind.APPLICATION, "a kernel touched memory that is not its own"),
    43: XidMeaning(XidKind.OTHER, "a process was stopped after another error"),
    45: XidMeaning(XidKind.OTHER, "work was cleaned up after another error"),
    48: XidMeaning(XidKind.FATAL, f"uncorrectable memory error: it {_RESET}"),
    63: XidMeaning(XidKind.OTHER, "a memory row was remapped"),
    64: XidMeaning(XidKind.FATAL, f"remapping a memory row failed: it {_RESET}"),
    74: XidMeaning(XidKind.FATAL, "NVLink error: its ranks cannot talk reliably"),
    79: XidMeaning(XidKind.FATAL, f"it fell off the bus: the machine {_REBOOT}"),
    94: XidMeaning(XidKind.APPLICATION, "uncorrectable memory error, contained to one process"),
    95: XidMeaning(XidKind.FATAL, f"uncorrectable memory error, not contained: it {_RESET}"),
    109: XidMeaning(XidKind.FATAL, f"a context switch timed out: it {_RESET}"),
    119: XidMeaning(XidKind.FATAL, f"its system processor does not answer: it {_RESET}"),
    120: XidMeaning(XidKind.FATAL, f"its system processor failed: it {_RESET}"),
    140: XidMeaning(XidKind.FATAL, f"memory error without recovery: it {_RESET}"),
    **{number: XidMeaning(XidKind.FATAL, "NVLink failed: its ranks cannot talk") for number in range(144, 151)},
    154: XidMeaning(XidKind.OTHER, "what the driver asks to be done about it has changed"),
}


def meaning(number: int) -> XidMeaning:
    return XIDS.get(number, XidMeaning(XidKind.OTHER, "not in our list: look it up in NVIDIA's"))
