"""What the keeper remembers: operations begun and ended, engines started and ended, the highest fence.

These records are the keeper's only memory over its own death. A record is appended and synced *before* the thing it
names, except ``EngineExited``, which is an observation.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from watchtower.vocabulary.actions import Incarnation, Plan


class OpState(StrEnum):
    """Where one operation stands. Everything but BEGUN is final: the same op_id gets the same answer for ever."""

    BEGUN = "begun"
    """Accepted; from here on there may be an effect."""
    DONE = "done"
    REFUSED = "refused"
    """No effect, and there never will be one."""
    UNCLEAR = "unclear"
    """Begun and not completed; a person has to look."""


class Operation(msgspec.Struct, frozen=True, tag="operation", kw_only=True, omit_defaults=True):
    """One step in the life of one ``op_id``; the latest counts."""

    op_id: str
    state: OpState
    at: float
    """CLOCK_BOOTTIME seconds, of the boot ``boot_id``."""
    boot_id: str
    because: str = ""
    expected: Incarnation | None = None
    """BEGUN: whom it is to replace."""
    not_after: float = 0.0
    fence_token: int = 0
    reason: str = ""
    digest: str = ""
    """Of a reload: what the weights must read when it is done."""

    @classmethod
    def begun(cls, plan: Plan, *, at: float, boot_id: str) -> Operation:
        """The first record of what ``plan`` asks for."""
        return cls(
            op_id=plan.op_id,
            state=OpState.BEGUN,
            at=at,
            boot_id=boot_id,
            expected=plan.expected_incarnation,
            not_after=plan.not_after,
            fence_token=plan.fence_token,
            reason=plan.reason,
            digest=plan.digest,
        )


class EngineStarted(msgspec.Struct, frozen=True, tag="engine_started", kw_only=True, omit_defaults=True):
    """A process exists and waits at its gate; it becomes the engine only after this record is on disk."""

    incarnation: Incarnation
    mark: str
    """Value of WATCHTOWER_ENGINE_MARK in its environment: finds descendants that left the tree."""
    op_id: str = ""
    """Empty: a first start, no operation."""
    inherited: dict[str, str] = {}
    """Names of the variables that it inherited, with a hash of each value; empty: of a version that kept none."""


class EngineExited(msgspec.Struct, frozen=True, tag="engine_exited", kw_only=True, omit_defaults=True):
    incarnation: Incarnation
    because: str
    """``exit status 1``, ``signal 9``, ``ended on request``, …"""
    ordered: bool = False
    """We ended it; otherwise it ended by itself."""


class FenceRaised(msgspec.Struct, frozen=True, tag="fence_raised", kw_only=True):
    token: int


KeeperRecord = Operation | EngineStarted | EngineExited | FenceRaised
