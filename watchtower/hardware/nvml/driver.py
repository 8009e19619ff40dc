"""The doorway to the driver: every NVML call of one thread passes here, so that a call that hangs can be named.

A wedged driver blocks its caller for good and no thread can be killed. So the thread writes down what it is about to
do and until when it may take; a watchdog in another thread reads it. One ``Driver`` belongs to one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import pynvml

from watchtower.hardware.nvml.meanings import NvmlError

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class UnderWay:
    """A call that has not returned yet."""

    call: str
    subject: str
    """UUID of the GPU it is about; "" for the driver as a whole."""
    since: float
    allowed_seconds: float

    def overdue(self, now: float) -> bool:
        return now - self.since > self.allowed_seconds

    def because(self, now: float) -> str:
        about = f" for {self.subject}" if self.subject else ""
        return f"{self.call}{about} has not returned for {now - self.since:.0f} s"


class Driver:
    def __init__(self, now: Callable[[], float], call_seconds: float) -> None:
        """``now``: CLOCK_BOOTTIME seconds."""
        self._now = now
        self._call_seconds = call_seconds
        self.under_way: UnderWay | None = None
        """Written by the owning thread, read by the watchdog."""

    def call(
        self, subject: str, function: Callable[..., Answer], *arguments: object, seconds: float | None = None
    ) -> Answer:
        """The answer of ``function``. Raises NvmlError; ``seconds``: when this call counts as hung."""
        allowed = self._call_seconds if seconds is None else seconds
        self.under_way = UnderWay(function.__name__, subject, self._now(), allowed)
        try:
            return function(*arguments)
        except pynvml.NVMLError as problem:
            raise NvmlError(problem.value, function.__name__) from problem
        finally:
            self.under_way = None
