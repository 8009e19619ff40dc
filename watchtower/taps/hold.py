"""One worker's hold: new generation requests wait at their head while a cure is under way.

The hold can never outlive its order: the worker releases it by itself after ``seconds``, with or without a daemon,
and an op_id that was released does not hold again. Each request waits at most ``wait_seconds``; how many may wait,
and with how many bytes, is bounded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from watchtower.vocabulary.facts import HoldOrder, HoldState, RelayOrder


class Waiting(Protocol):
    """A connection whose request is parked."""

    def resume(self) -> None:
        """The hold is over: go on."""

    def wait_is_over(self) -> None:
        """``wait_seconds`` passed: answer, and leave."""


class Hold:
    def __init__(self, loop: asyncio.AbstractEventLoop, on_change: Callable[[], None]) -> None:
        """``on_change`` is called when a hold begins or ends (its acknowledgement should go out at once)."""
        self._loop = loop
        self._on_change = on_change
        self._order: HoldOrder | None = None
        self._last_released = ""
        self._deadline: asyncio.TimerHandle | None = None
        self._parked: dict[Waiting, tuple[asyncio.TimerHandle, int]] = {}
        self._bytes = 0

    @property
    def holding(self) -> bool:
        return self._order is not None

    @property
    def state(self) -> HoldState:
        return HoldState.HOLDING if self.holding else HoldState.OPEN

    @property
    def op_id(self) -> str:
        """Of the order being obeyed; "" without one."""
        return self._order.op_id if self._order is not None else ""

    @property
    def parked(self) -> int:
        return len(self._parked)

    def obey(self, order: RelayOrder) -> None:
        """Repeating an order changes nothing; a new one replaces the old, and who waits goes on waiting."""
        if not isinstance(order, HoldOrder):
            if order.op_id == self.op_id:
                self.release()
            return
        if order.op_id in (self.op_id, self._last_released):
            return
        if self._deadline is not None:
            self._deadline.cancel()
        self._order = order
        self._deadline = self._loop.call_later(order.seconds, self.release)
        self._on_change()

    def release(self) -> None:
        """Everybody goes on, in the order of their coming."""
        if self._order is None:
            return
        self._last_released = self._order.op_id
        self._order = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        for request in list(self._parked):
            self.leave(request)
            request.resume()
        self._on_change()

    def park(self, request: Waiting, size: int) -> bool:
        """False: no room, or no hold."""
        order = self._order
        if order is None or len(self._parked) >= order.max_parked or self._bytes + size > order.max_bytes:
            return False
        self._parked[request] = (self._loop.call_later(order.wait_seconds, self._expire, request), size)
        self._bytes += size
        return True

    def grow(self, request: Waiting, size: int) -> bool:
        """``request`` has ``size`` bytes by now. False: no more should be read from it."""
        if request not in self._parked or self._order is None:
            return True
        timer, before = self._parked[request]
        self._parked[request] = (timer, size)
        self._bytes += size - before
        return self._bytes <= self._order.max_bytes

    def leave(self, request: Waiting) -> None:
        """``request`` no longer waits (released, answered, or its client left)."""
        entry = self._parked.pop(request, None)
        if entry is not None:
            entry[0].cancel()
            self._bytes -= entry[1]

    def _expire(self, request: Waiting) -> None:
        self.leave(request)
        request.wait_is_over()
