"""One GPU: its handle, what is known of it now, and why the rest is not.

A value that cannot be read becomes None with its ``Trouble``; it is never 0. What a GPU refuses for good is asked
once; errors that reach further than one value are raised to whoever walks over the GPUs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

import msgspec

from watchtower.hardware.nvml.driver import Driver
from watchtower.hardware.nvml.meanings import UNKNOWN, NvmlError, Reach
from watchtower.vocabulary.gpus import GpuSeen, Trouble

Answer = TypeVar("Answer")


class Device:
    def __init__(self, driver: Driver, handle: Any, seen: GpuSeen) -> None:
        self._driver = driver
        self.handle = handle
        self.seen = seen
        """The latest of everything, without utilization samples."""
        self.mig = False
        self._unavailable: dict[str, Trouble] = {}
        self._refused: set[tuple[str, str]] = set()
        self._answered = 0
        self._unknown = 0

    @property
    def uuid(self) -> str:
        return self.seen.uuid

    def ask(
        self, value: str, function: Callable[..., Answer], *arguments: object, no_news: Collection[int] = ()
    ) -> Answer | None:
        """The answer for ``value``, or None: then ``why(value)`` tells, unless the error number is ``no_news``.
        Raises NvmlError when the whole GPU or the driver is out of reach."""
        key = (value, function.__name__)
        if key in self._refused:
            return None
        try:
            answer = self._driver.call(self.uuid, function, self.handle, *arguments)
        except NvmlError as problem:
            if problem.meaning.reach is not Reach.VALUE:
                raise
            if problem.number == UNKNOWN:
                self._unknown += 1
            else:
                self._answered += 1
            if problem.number in no_news:
                self._unavailable.pop(value, None)
                return None
            if problem.meaning.permanent:
                self._refused.add(key)
            self._unavailable[value] = problem.meaning.trouble
            return None
        self._answered += 1
        self._unavailable.pop(value, None)
        return answer

    def ask_newest(self, value: str, functions: Sequence[Callable[..., Answer]], *arguments: object) -> Answer | None:
        """The answer of the first function that this driver and GPU do not refuse for good. Raises as ``ask``."""
        for function in functions:
            answer = self.ask(value, function, *arguments)
            if not self.refuses(value, function):
                return answer
        return None

    def why(self, value: str) -> Trouble | None:
        return self._unavailable.get(value)

    def refuses(self, value: str, function: Callable[..., Any]) -> bool:
        """Whether it said no for good."""
        return (value, function.__name__) in self._refused

    def cannot(self, value: str, trouble: Trouble) -> None:
        self._unavailable[value] = trouble

    def can(self, value: str) -> None:
        self._unavailable.pop(value, None)

    def note(self, **values: Any) -> None:
        """Write values of ``GpuSeen``."""
        self.seen = msgspec.structs.replace(self.seen, **values)

    def snapshot(self, **values: Any) -> GpuSeen:
        """What a report carries of it."""
        return msgspec.structs.replace(self.seen, unavailable=dict(self._unavailable), **values)

    def changed_mode(self, mig: bool) -> None:
        """MIG was switched: what was refused for good may be answered now, and the other way round."""
        if mig is not self.mig:
            self.mig = mig
            self._refused.clear()
            self._unavailable.clear()

    def silent(self) -> bool:
        """Whether it answered every question since the last call of this with "unknown error"."""
        silent = self._unknown > 0 and self._answered == 0
        self._answered = self._unknown = 0
        return silent

    def gone(self, trouble: Trouble, because: str) -> None:
        """Nothing can be read of it any more: keep who it is, drop what it was."""
        kept = self.seen
        self._unavailable.clear()
        self.seen = GpuSeen(
            uuid=kept.uuid, index=kept.index, name=kept.name, bus_id=kept.bus_id, trouble=trouble, because=because
        )
