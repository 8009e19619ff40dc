"""Whether an engine runs at all, by the looks of the adapter.

Absence is a proof, not a silence: it lasts from the first to the last look of an unbroken run of looks that all found
nothing running. A look that could not tell, or a gap in our own attention, breaks the run and the proof begins anew;
time after the last look counts for nothing. Only an adapter that owns the process can find nothing, so an engine that
never came up is missed like one that died; no token is owed by it, though.
"""

from __future__ import annotations

import math
from typing import Final

from watchtower.vocabulary.facts import EngineSeen
from watchtower.vocabulary.reasons import Reason, ReasonKind
from watchtower.windows.probes import Probed, no_value

PART: Final = "supervisor"
GONE: Final = Reason(ReasonKind.UNREADABLE, "no engine runs, so no token is owed", "engine")


class Presence:
    """The newest look, and since when all of them have found nothing."""

    def __init__(self) -> None:
        self._met = False
        self.reset(-math.inf)

    def reset(self, mark: float) -> None:
        """Looks from before ``mark`` count no more; that there has been an engine does."""
        self.looked_at = mark
        self._last: EngineSeen | None = None
        self._since: float | None = None

    def seen(self, fact: EngineSeen) -> None:
        if fact.at < self.looked_at:
            return  # overtaken
        self._last, self.looked_at = fact, fact.at
        self._met = self._met or fact.incarnation is not None or fact.ended is not None
        if not fact.known or fact.incarnation is not None:
            self._since = None
        elif self._since is None:
            self._since = fact.at

    @property
    def gone(self) -> Reason | None:
        """Why no token can be expected; None while an engine runs, or nobody can tell."""
        return None if self._since is None or not self._met else GONE

    def absent(self, over: float, now: float) -> Probed:
        """Seconds for which it is proven that none runs. UNKNOWN when the newest look is older than ``over``."""
        last = self._last
        if last is None:
            return no_value(ReasonKind.TOO_FEW, "the adapter has not looked yet", PART)
        if now - last.at > over:
            because = f"the adapter last looked {now - last.at:.0f} s ago, before the window"
            return no_value(ReasonKind.UNREADABLE, because, PART)
        if not last.known:
            return no_value(last.kind, last.because or "the adapter could not tell", PART)
        if last.incarnation is not None:
            return Probed(0.0, samples=1)
        since = last.at if self._since is None else self._since
        how = last.how if self._met else last.because or "it has never come up"
        return Probed(last.at - since, remark=how, samples=1)
