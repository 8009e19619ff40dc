"""The runner's way to the relay workers: hold, drain, release.

A hold counts as taken when every connected worker has acknowledged it by name. Without a relay there is nothing to
hold, and the caller is told so by "nothing is open". A drain waits for every connection with an answer under way,
whether or not anybody reads it. The deadline of the hold itself lives in the workers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import structlog

from watchtower.ports import Clock
from watchtower.settings import HoldSettings
from watchtower.vocabulary.facts import HoldOrder, RelayFrame, RelayOrder, ReleaseOrder

log = structlog.get_logger("watchtower.traffic")

ACKNOWLEDGE_SECONDS = 3.0
"""A worker that has not said within this time that it holds is no longer waited for."""


class RelayTraffic:
    """``watchtower.ports.Traffic`` over the connected relay workers."""

    def __init__(
        self,
        *,
        frames: Callable[[], Collection[RelayFrame]],
        clock: Clock,
        settings: HoldSettings,
        order: Callable[[RelayOrder], None],
    ) -> None:
        """``frames``: the newest of each connected worker (``RelayRoster.frames``)."""
        self._frames = frames
        self._clock = clock
        self._settings = settings
        self._order = order

    async def hold(self, op_id: str, *, drain: bool) -> int:
        knobs = self._settings
        self._order(
            HoldOrder(
                op_id=op_id,
                seconds=knobs.total_seconds,
                wait_seconds=knobs.wait_seconds,
                max_parked=knobs.max_requests,
                max_bytes=knobs.max_bytes,
            )
        )
        started = self._clock.now().boot
        while True:
            frames = self._frames()
            waited = self._clock.now().boot - started
            holding = all(_acknowledged(frame, op_id) for frame in frames) or waited > ACKNOWLEDGE_SECONDS
            still_open = sum(frame.under_way for frame in frames)
            if holding and (not drain or still_open == 0 or waited > knobs.drain_seconds):
                log.info("traffic.held", op_id=op_id, open=still_open, parked=_parked(frames), waited=round(waited, 3))
                return still_open
            await self._clock.sleep(0.05)

    async def release(self, op_id: str) -> None:
        self._order(ReleaseOrder(op_id=op_id))
        log.info("traffic.released", op_id=op_id, parked=_parked(self._frames()))


def _acknowledged(frame: RelayFrame, op_id: str) -> bool:
    """A worker that is bypassed holds nobody, and need not be waited for."""
    return frame.bypassed is not None or frame.hold_op == op_id


def _parked(frames: Collection[RelayFrame]) -> int:
    return sum(frame.parked for frame in frames)
