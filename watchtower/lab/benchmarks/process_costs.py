"""Processes that are measured: what they cost (CPU, memory) and how they end.

CPU is the scheduler's own nanoseconds over all threads of all processes of a program; where the kernel does not tell
them, user and system ticks (10 ms). Both count what runs *for* the program in system calls too.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path

from watchtower.ports import Clock

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_END_SECONDS = 5.0


def family(pid: int) -> list[int]:
    """``pid`` and its living descendants (nginx works in children of its master)."""
    found = [pid]
    for parent in found:
        try:
            children = Path(f"/proc/{parent}/task/{parent}/children").read_text()
        except OSError:
            continue
        found.extend(int(child) for child in children.split())
    return found


def cpu_ns(pids: Iterable[int]) -> int:
    """CPU time used so far, nanoseconds."""
    return sum(_threads_ns(pid) for pid in pids)


def _threads_ns(pid: int) -> int:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)
    except OSError:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * _TICK_NS


def rss_bytes(pids: Iterable[int]) -> int:
    """Resident now. Pages that processes share are counted in each."""
    return sum(_rss_kib(pid) for pid in pids) * 1024


def _rss_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)


async def accepts(port: int, clock: Clock, seconds: float = 5.0) -> bool:
    """Wait until somebody accepts connections on ``port``."""
    for _ in range(round(seconds / 0.05)):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await clock.sleep(0.05)
        else:
            writer.close()
            return True
    return False


async def end(process: asyncio.subprocess.Process) -> None:
    """TERM, and KILL when that does not help. Only ever this process."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_END_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
