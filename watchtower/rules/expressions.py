"""What a rule may say, as values: comparisons joined by and, or, not.

``language`` writes them, ``evaluation`` judges them.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

import msgspec

from watchtower.vocabulary.quantities import Quantity
from watchtower.vocabulary.readings import READINGS, Unit
from watchtower.vocabulary.signals import Signal


class Operator(StrEnum):
    ABOVE = ">"
    AT_LEAST = ">="
    BELOW = "<"
    AT_MOST = "<="

    @property
    def upward(self) -> bool:
        """True where large values breach."""
        return self in (Operator.ABOVE, Operator.AT_LEAST)


class Comparison(msgspec.Struct, frozen=True):
    reading: str
    operator: Operator
    limit: Quantity
    tag: str = ""
    variant: str = ""
    """Whose traffic; "" for all of it."""

    @property
    def signal(self) -> Signal:
        return Signal(self.reading, self.tag, self.variant)

    @property
    def unit(self) -> Unit:
        return READINGS[self.reading].unit

    def __str__(self) -> str:
        return f"{self.signal} {self.operator} {self.limit.value:g}"


class Condition(msgspec.Struct, frozen=True):
    """A named condition: only in ``unless:``."""

    name: str


class And(msgspec.Struct, frozen=True):
    left: Expression
    right: Expression


class Or(msgspec.Struct, frozen=True):
    left: Expression
    right: Expression


class Not(msgspec.Struct, frozen=True):
    inner: Expression


Expression = Comparison | Condition | And | Or | Not


def labelled(expression: Expression, tag: str, variant: str) -> Expression:
    """The same expression, about the traffic of one tag and variant."""
    match expression:
        case And(left, right):
            return And(labelled(left, tag, variant), labelled(right, tag, variant))
        case Or(left, right):
            return Or(labelled(left, tag, variant), labelled(right, tag, variant))
        case Not(inner):
            return Not(labelled(inner, tag, variant))
        case Comparison():
            return msgspec.structs.replace(expression, tag=tag, variant=variant)
        case _:
            return expression


def leaves(expression: Expression) -> Iterator[Comparison | Condition]:
    """Every comparison and condition, left to right."""
    match expression:
        case And(left, right) | Or(left, right):
            yield from leaves(left)
            yield from leaves(right)
        case Not(inner):
            yield from leaves(inner)
        case _:
            yield expression
