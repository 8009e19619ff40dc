"""The limits that dashboards draw, read from the rules: a number is typed once, in ``rules/``.

Tiles are coloured by these; lines are drawn from ``watchtower_rule_limit``, which is what the running daemon uses. For
rules of your own generate with ``--rules``, and both agree again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from watchtower.rules.expressions import Comparison, leaves
from watchtower.rules.rule_files import load_rules

SHIPPED = Path(__file__).resolve().parent.parent / "rules" / "triad.yaml"


@dataclass(frozen=True, slots=True)
class Limit:
    """One comparison of a rule, in base units."""

    rule: str
    reading: str
    value: float
    upward: bool
    """True where large values breach."""


Limits = Mapping[str, Limit]
"""Reading → the first comparison of any rule with it."""


def read_limits(rules: Path = SHIPPED) -> Limits:
    """Raises BadInput, with every mistake of the file at once."""
    found: dict[str, Limit] = {}
    for rule in load_rules([rules]).rules:
        for leaf in leaves(rule.when):
            if isinstance(leaf, Comparison) and not leaf.signal.labelled:  # dashboards show all traffic
                limit = Limit(rule.name, leaf.reading, leaf.limit.value, leaf.operator.upward)
                found.setdefault(leaf.reading, limit)
    return found
