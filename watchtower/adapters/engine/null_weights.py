"""The weights of an engine that cannot read them back or replace them: the null version of port ``Weights``."""

from __future__ import annotations

from watchtower.ports import Engine, ServesWeights, Weights
from watchtower.vocabulary.actions import Reply, ReplyKind
from watchtower.vocabulary.facts import CheckpointSeen

BECAUSE = "its weights cannot be read back or replaced: this kind of engine offers no way to"


class NullWeights:
    """Port ``Weights``."""

    def __init__(self, declared: str) -> None:
        """``declared``: of the configuration, "" for none."""
        self._declared = declared

    def checkpoint(self, at: float) -> CheckpointSeen:
        return CheckpointSeen(at=at, declared=self._declared, because=BECAUSE)

    def cannot_load(self, path: str) -> str:
        return BECAUSE

    def load(self, path: str, digest: str, seconds: float) -> Reply:
        return Reply(ReplyKind.REJECTED, f"nothing was touched: {BECAUSE}")

    def resume(self) -> None:
        """Nothing was ever paused."""


def weights_of(engine: Engine, declared: str) -> Weights:
    """Those that the engine offers, or none."""
    return engine.weights if isinstance(engine, ServesWeights) else NullWeights(declared)
