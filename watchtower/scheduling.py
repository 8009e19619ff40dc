"""Who is served first when the CPUs are busy: the relay, for whose every wake-up a client waits; last, the scorer.

``nice`` alone says little. Where the kernel groups processes by session (``sched_autogroup_enabled``, sched(7)), it
counts inside the session only, and each of our children has a session of its own: then the session's group takes a
nice value by ``/proc/<pid>/autogroup``. In a control group of its own (a service, a container) a process is grouped by
that instead, and the group's weight counts outside it. So all three are set where we may, or said where we may not.

A shorter slice (sched_setattr(2), Linux 6.12) needs no right at all: whoever asks for less time at once gets it sooner,
and no more of it.
"""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from watchtower.clock import sleep_blocking

FIRST: Final = -10
"""Nine times the weight of a process that asks for nothing; a relay worker needs little, and that at once."""
LAST: Final = 19
SLICE_NS: Final = 100_000
"""The shortest that the kernel grants, 0.1 ms: a wake-up of the relay works for less."""
_SCHED_SETATTR: Final = {"x86_64": 314, "aarch64": 274, "riscv64": 274, "ppc64le": 355, "s390x": 345}
"""Number of the system call by machine: the C library has no name for it."""
_PROC: Final = Path("/proc")
_TRIES: Final = 5
_AGAIN_SECONDS: Final = 0.1
"""The kernel moves groups for users ten times a second, in all."""


def put_first(pid: int) -> None:
    """Serve this process of ours first, as far as we may."""
    _set_nice(pid, FIRST)
    _group_nice(pid, FIRST)
    _ask_for_short_slices(pid)


def put_last() -> None:
    """Serve ourselves after everybody else."""
    _set_nice(0, LAST)
    for _ in range(_TRIES):
        if _group_nice(os.getpid(), LAST):
            return
        sleep_blocking(_AGAIN_SECONDS)


class CpuShare(msgspec.Struct, frozen=True, kw_only=True):
    """What is in force for one process; None: the kernel does not say."""

    nice: int | None
    session_nice: int | None
    """Of its session's group; None also where sessions are not grouped."""
    weight: int | None
    """Of its control group: 100 is what a group gets that asks for nothing (cpu.shares are translated)."""
    throttled: float = 0.0
    """Share (0…1) of the kernel's periods of 100 ms in which a CPU limit stopped its control group."""

    def __str__(self) -> str:
        parts = [f"nice {self.nice}", f"session {self.session_nice}", f"weight {self.weight}"]
        known = [part for part in parts if not part.endswith("None")]
        if self.throttled:
            known.append(f"stopped by its CPU limit in {self.throttled:.1%} of the time")
        return ", ".join(known) or "unknown"


def sessions_are_grouped() -> bool:
    """``sched_autogroup_enabled``. It means nothing inside a control group of one's own."""
    return _read(_PROC / "sys/kernel/sched_autogroup_enabled") == "1"


def share_of(pid: int) -> CpuShare:
    try:
        nice = os.getpriority(os.PRIO_PROCESS, pid)
    except OSError:
        nice = None
    _, _, said = _read(_PROC / str(pid) / "autogroup").rpartition(" nice ")
    weight, throttled = _control_group(pid)
    grouped = sessions_are_grouped() and said
    return CpuShare(nice=nice, session_nice=int(said) if grouped else None, weight=weight, throttled=throttled)


def _control_group(pid: int) -> tuple[int | None, float]:
    """(weight, share of periods in which it was stopped). From inside a container, its own group is at the top."""
    for line in _read(_PROC / str(pid) / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = Path("/sys/fs/cgroup") / controllers
        for place in (top / path.lstrip("/"), top):
            weight, shares = _read(place / "cpu.weight"), _read(place / "cpu.shares")
            if weight or shares:
                return int(weight) if weight else round(int(shares) * 100 / 1024), _throttled(_read(place / "cpu.stat"))
    return None, 0.0


def _throttled(stat: str) -> float:
    counts = {name: int(value) for name, _, value in (line.partition(" ") for line in stat.splitlines())}
    return counts.get("nr_throttled", 0) / max(1, counts.get("nr_periods", 0))


def _set_nice(pid: int, nice: int) -> None:
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, nice)


def _group_nice(pid: int, nice: int) -> bool:
    """Of the session that ``pid`` leads; one that it shares is not ours to move. False: it is worth another try."""
    try:
        if os.getsid(pid) == pid:
            (_PROC / str(pid) / "autogroup").write_text(str(nice))
    except BlockingIOError:
        return False
    except OSError:  # not permitted, not this kernel, or gone
        pass
    return True


def _ask_for_short_slices(pid: int) -> None:
    number = _SCHED_SETATTR.get(platform.machine())
    if number is None:
        return
    import ctypes  # a third of a megabyte, which only those pay who start relay workers

    class Attributes(ctypes.Structure):
        """struct sched_attr, first version."""

        _fields_ = (
            *(("size", ctypes.c_uint32), ("policy", ctypes.c_uint32), ("flags", ctypes.c_uint64)),
            *(("nice", ctypes.c_int32), ("priority", ctypes.c_uint32)),
            *(("runtime", ctypes.c_uint64), ("deadline", ctypes.c_uint64), ("period", ctypes.c_uint64)),
        )

    with suppress(OSError):
        nice = os.getpriority(os.PRIO_PROCESS, pid)
        asked = Attributes(ctypes.sizeof(Attributes), os.SCHED_OTHER, 0, nice, 0, SLICE_NS, 0, 0)
        ctypes.CDLL(None, use_errno=True).syscall(number, pid, ctypes.byref(asked), 0)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
