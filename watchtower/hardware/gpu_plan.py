"""What the daemon tells the gpu child, on its command line, as JSON. Light: the child loads no settings library.

Reading a GPU costs it something: calls take the driver's global lock, and a process list takes milliseconds where a
clock takes microseconds. So each kind of value has its own period.
"""

from __future__ import annotations

import msgspec

from watchtower.vocabulary.errors import BadInput, Problem

AGAIN = 75
"""Exit status of a child that needs a new process to open NVML once more (EX_TEMPFAIL of sysexits.h)."""
STOP = b"stop"
"""The line on its standard input that ends it; the end of the input does the same."""


class GpuPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All durations in seconds."""

    uuids: tuple[str, ...] = ()
    """Which GPUs; empty: all that are visible."""
    poll_seconds: float = 1.0
    """A report this often; clocks, throttle reasons, power, temperature, memory with it."""
    samples_seconds: float = 2.0
    """Utilization and GPM."""
    ring_seconds: float = 10.0
    """How far back the driver remembers samples."""
    counters_seconds: float = 5.0
    """Violation times, ECC, links, limits, MIG mode."""
    processes_seconds: float = 60.0
    retry_seconds: float = 30.0
    """After a failed opening of NVML, and between looks for a GPU that is missing."""
    call_seconds: float = 5.0
    """A call that takes longer means: the driver is wedged."""
    open_seconds: float = 60.0
    """The same for calls that may have to bring a GPU up (without persistence mode)."""


def read_plan(text: str) -> GpuPlan:
    """Raises BadInput."""
    try:
        return msgspec.json.decode(text, type=GpuPlan)
    except msgspec.MsgspecError as problem:
        cure = "the daemon starts this program; by hand: '{}'"
        raise BadInput([Problem("argument", "", f"no plan for the gpu child: {problem}", cure)]) from problem
