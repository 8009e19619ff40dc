"""The language of ``when:`` and ``unless:``: comparisons joined by and, or, not and parentheses. No eval.

    expression  = conjunction { "or" conjunction }
    conjunction = negation { "and" negation }
    negation    = "not" negation | "(" expression ")" | comparison | condition
    comparison  = reading ( ">" | ">=" | "<" | "<=" ) quantity

A tokenizer and a recursive descent, bounded in length and depth. Readings, units and conditions are checked here, so
that a loaded expression cannot fail later. Whatever the text, the only exception is ``BadInput``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import NamedTuple

from watchtower.rules.expressions import And, Comparison, Condition, Expression, Not, Operator, Or
from watchtower.vocabulary.errors import BadInput, Problem
from watchtower.vocabulary.quantities import EXAMPLES, NUMBER, SUFFIXES, Quantity, misfit, quantity
from watchtower.vocabulary.readings import CONDITIONS, READINGS

LONGEST = 2000
"""Characters of one expression."""
DEEPEST = 32
"""Nested parentheses and nots."""


def parse(text: str, place: Callable[[int], str], path: str, *, conditions: bool = False) -> Expression:
    """Read one expression.

    ``place(offset)`` names where a character of ``text`` stands (``file:line:column``); ``conditions`` allows named
    conditions. Raises BadInput with every unknown name and unfit unit, or with the first mistake of grammar.
    """
    return _Parser(text, place, path, conditions).whole()


class _Token(NamedTuple):
    kind: str
    text: str
    offset: int


_TOKEN = re.compile(
    rf"""\s*(?:
      (?P<quantity>{NUMBER}(?:[A-Za-zµ%/]+|\s+(?:{"|".join(sorted(SUFFIXES, key=len, reverse=True))})(?![\w]))?)
    | (?P<name>[A-Za-z_]\w*(?:\.\w+)*)
    | (?P<operator>[<>=!]=|[<>=])
    | (?P<open>\()
    | (?P<close>\))
    | (?P<end>\Z)
    | (?P<stray>.)
    )""",
    re.VERBOSE | re.ASCII | re.DOTALL,
)
_READS_LIKE = "a comparison reads: reading, one of > >= < <=, quantity, e.g. inter_token_latency_seconds.p95 > 130ms"
_FOREIGN = {"&&": "and", "||": "or", "!": "not"}


class _Parser:
    def __init__(self, text: str, place: Callable[[int], str], path: str, conditions: bool) -> None:
        self._place, self._path, self._conditions = place, path, conditions
        self._problems: list[Problem] = []
        self._depth = 0
        if len(text) > LONGEST:
            raise self._wrong(0, f"the expression has more than {LONGEST} characters", "split it into several rules")
        self._tokens = self._tokenize(text)
        self._next = 0

    def whole(self) -> Expression:
        expression = self._expression()
        if self._peek().kind != "end":
            raise self._unexpected("and, or, or the end")
        if self._problems:
            raise BadInput(self._problems)
        return expression

    # ── grammar ─────────────────────────────────────────────────────────────────────────────────

    def _expression(self) -> Expression:
        left = self._conjunction()
        while self._keyword("or"):
            left = Or(left, self._conjunction())
        return left

    def _conjunction(self) -> Expression:
        left = self._negation()
        while self._keyword("and"):
            left = And(left, self._negation())
        return left

    def _negation(self) -> Expression:
        token = self._peek()
        nested = token.kind == "open" or token.text == "not"
        if not nested:
            return self._leaf()
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._wrong(token.offset, f"nested more than {DEEPEST} deep", "split it into several rules")
        self._take()
        if token.kind == "open":
            inner = self._expression()
            if self._peek().kind != "close":
                raise self._unexpected("')'")
            self._take()
        else:
            inner = Not(self._negation())
        self._depth -= 1
        return inner

    def _leaf(self) -> Expression:
        name = self._peek()
        if name.kind != "name" or name.text in ("and", "or"):
            raise self._unexpected("the name of a reading")
        self._take()
        operator = self._peek()
        if operator.kind != "operator":
            if self._conditions or name.text in CONDITIONS:
                return self._condition(name)
            if name.text not in READINGS:
                raise self._unknown_reading(name)
            raise self._unexpected("one of > >= < <=")
        self._take()
        if operator.text not in tuple(Operator):
            raise self._wrong(
                operator.offset, f"'{operator.text}' cannot compare a measured quantity", "use > >= < or <="
            )
        limit = self._limit()
        if name.text not in READINGS:
            self._problems.extend(self._unknown_reading(name).problems)
        else:
            self._check_unit(name.text, *limit)
        return Comparison(name.text, Operator(operator.text), limit[0])

    def _condition(self, name: _Token) -> Condition:
        if not self._conditions:
            raise self._wrong(
                name.offset, f"'{name.text}' is a condition, not a reading", f"write it as unless: {name.text}"
            )
        if name.text not in CONDITIONS:
            near = difflib.get_close_matches(name.text, [*CONDITIONS, *READINGS], n=1)
            cure = f"did you mean '{near[0]}'?" if near else f"known conditions: {', '.join(CONDITIONS)}"
            self._problems.append(self._problem(name.offset, f"unknown condition '{name.text[:80]}'", cure))
        return Condition(name.text)

    def _limit(self) -> tuple[Quantity, int]:
        token = self._peek()
        if token.kind != "quantity":
            raise self._unexpected("a quantity, e.g. 130ms")
        self._take()
        try:
            return quantity(token.text), token.offset
        except ValueError as problem:
            what, _, cure = str(problem).partition(": ")
            raise self._wrong(token.offset, what, cure) from problem

    def _check_unit(self, reading: str, limit: Quantity, offset: int) -> None:
        unit = READINGS[reading].unit
        why = misfit(limit, unit)
        if why:
            self._problems.append(self._problem(offset, why, f"for {reading} write e.g. {EXAMPLES[unit]}"))

    # ── tokens ──────────────────────────────────────────────────────────────────────────────────

    def _tokenize(self, text: str) -> list[_Token]:
        tokens: list[_Token] = []
        position = 0
        while not tokens or tokens[-1].kind != "end":
            match = _TOKEN.match(text, position)
            if match is None or match.lastgroup is None:  # cannot be: 'stray' takes whatever is left
                raise self._wrong(position, "unreadable", _READS_LIKE)
            kind, word, offset = match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)
            if kind == "stray":
                word = next((sign for sign in _FOREIGN if text.startswith(sign, offset)), word)
                cure = f"write '{_FOREIGN[word]}'" if word in _FOREIGN else _READS_LIKE
                raise self._wrong(offset, f"'{word}' means nothing here", cure)
            if kind == "name" and word.lower() in ("and", "or", "not"):
                word = word.lower()
            tokens.append(_Token(kind, word, offset))
            position = match.end()
        return tokens

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> None:
        self._next += 1

    def _keyword(self, word: str) -> bool:
        found = self._peek().kind == "name" and self._peek().text == word
        self._next += found
        return found

    # ── mistakes ────────────────────────────────────────────────────────────────────────────────

    def _problem(self, offset: int, what: str, cure: str) -> Problem:
        return Problem(self._place(offset), self._path, what, cure)

    def _wrong(self, offset: int, what: str, cure: str) -> BadInput:
        return BadInput([*self._problems, self._problem(offset, what, cure)])

    def _unexpected(self, wanted: str) -> BadInput:
        token = self._peek()
        found = "the expression ends" if token.kind == "end" else f"found '{token.text[:40]}'"
        return self._wrong(token.offset, f"{found} where {wanted} was expected", _READS_LIKE)

    def _unknown_reading(self, name: _Token) -> BadInput:
        stats = [known for known in READINGS if known.startswith(name.text + ".")]
        near = difflib.get_close_matches(name.text, READINGS, n=1)
        if stats:
            cure = f"choose one of {', '.join(stats)}"
        elif near:
            cure = f"did you mean '{near[0]}'?"
        else:
            families = dict.fromkeys(known.partition(".")[0] for known in READINGS)
            cure = f"known readings begin with: {', '.join(families)}"
        return BadInput([self._problem(name.offset, f"unknown reading '{name.text[:80]}'", cure)])
