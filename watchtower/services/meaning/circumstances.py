"""What else is true while answers are asked for and judged: whether anything is wrong, and who answers.

Each is asked for at the moment it is needed; nothing here is a copy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from watchtower.remediation.state import Incident
from watchtower.vocabulary.facts import EngineSeen
from watchtower.vocabulary.readings import RuleVerdict, Verdict


@dataclass(frozen=True, slots=True)
class Circumstances:
    incident: Callable[[], Incident | None]
    """The one that is not over, as committed."""
    verdicts: Callable[[], tuple[RuleVerdict, ...]]
    """Of the newest tick."""
    engine: Callable[[], EngineSeen | None]
    """The newest look at it; None before the first."""

    def anything_wrong(self) -> bool:
        """Whether answers of now must not be learned as normal."""
        return self.incident() is not None or any(found.verdict is Verdict.BREACH for found in self.verdicts())
