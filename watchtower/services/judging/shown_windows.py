"""Over which window each reading is shown: one gauge, one window, and it is the one that the rules judge by.

A panel that shows five minutes beside a rule that judges one says 25 ms while the rule says 233 ms, and both are
right. So a reading that a rule compares is shown over that rule's window, and what the relay sees of the traffic is
shown over one window altogether, so that panels side by side tell of the same minute. Canaries and scrapes have no
window but an age up to which they count: they keep the longest, because a longer one changes no value.
"""

from __future__ import annotations

from typing import Final

from watchtower.rules.ruleset import Ruleset
from watchtower.vocabulary.readings import READINGS
from watchtower.vocabulary.signals import Signal

TRAFFIC: Final = ("inter_token_latency_seconds", "time_to_first_token_seconds", "exchanges", "token_progress")
"""Families of what the relay sees."""
EVIDENCE: Final = ("canary", "engine", "engine_running", "engine_waiting", "engine_kv_cache_ratio")
"""Families for which ``over`` is an age."""
USUAL_SECONDS: Final = 60.0
"""Where no rule acts."""


def longest_window(rules: Ruleset) -> float:
    """Seconds; of the acting rule that looks back furthest."""
    slowest = rules.slowest()
    return slowest.over if slowest else USUAL_SECONDS


def shown_windows(rules: Ruleset) -> dict[Signal, float]:
    """Seconds by signal, for every reading there is. Where several rules compare one, the first counts."""
    judged = rules.windows()
    longest = longest_window(rules)
    return {Signal(name): _window(name, judged, longest) for name in READINGS}


def _window(name: str, judged: dict[str, float], longest: float) -> float:
    family = _family(name)
    if family in EVIDENCE:
        return longest
    if name in judged:
        return judged[name]
    kin = TRAFFIC if family in TRAFFIC else (family,)
    return next((over for other, over in judged.items() if _family(other) in kin), longest)


def _family(name: str) -> str:
    return name.partition(".")[0]
