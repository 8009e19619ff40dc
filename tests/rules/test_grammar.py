from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchtower.rules.expressions import And, Comparison, Condition, Not, Operator, Or, leaves
from watchtower.rules.grammar import parse
from watchtower.rules.rule_files import read_rules
from watchtower.vocabulary.errors import BadInput
from watchtower.vocabulary.readings import READINGS


def place(offset: int) -> str:
    return f"rules.yaml:1:{offset + 1}"


def test_a_comparison_is_read_into_base_units() -> None:
    found = parse("inter_token_latency_seconds.p95 > 130ms", place, "when")
    assert isinstance(found, Comparison)
    assert (found.reading, found.operator, found.limit.value) == (
        "inter_token_latency_seconds.p95",
        Operator.ABOVE,
        0.13,
    )


def test_and_binds_tighter_than_or_and_not_tightest() -> None:
    found = parse("engine_running > 1 or not engine_waiting > 2 and exchanges.open < 3", place, "when")
    assert isinstance(found, Or)
    assert isinstance(found.right, And)
    assert isinstance(found.right.left, Not)


def test_parentheses_change_the_order() -> None:
    found = parse("(engine_running > 1 or engine_waiting > 2) and exchanges.open < 3", place, "when")
    assert isinstance(found, And)
    assert [str(leaf) for leaf in leaves(found)] == ["engine_running > 1", "engine_waiting > 2", "exchanges.open < 3"]


def test_conditions_join_comparisons_only_where_allowed() -> None:
    found = parse("load_explains_latency or exchanges.open < 1", place, "unless", conditions=True)
    assert isinstance(found, Or)
    assert found.left == Condition("load_explains_latency")
    with pytest.raises(BadInput, match="is a condition"):
        parse("load_explains_latency", place, "when")


def test_a_mistake_names_its_column() -> None:
    with pytest.raises(BadInput) as refused:
        parse("engine_running > 1 and engine_wating > 1", place, "when")
    assert refused.value.problems[0].where == "rules.yaml:1:24"


def test_a_too_long_expression_is_refused_not_parsed() -> None:
    with pytest.raises(BadInput, match="more than 2000"):
        parse("engine_running > 1 and " * 1000, place, "when")


SIGNS = ("and", "or", "not", "(", ")", ">", ">=", "<", "<=", "==", "{", "\n", "--", ".", "NOT", "é")
LIMITS = ("130ms", "15pp", "2%", "0.92", "10/s", "1e999", "1e")
WORDS = st.sampled_from((*READINGS, *SIGNS, *LIMITS, "load_explains_latency"))


@given(st.one_of(st.text(max_size=80), st.lists(WORDS, max_size=20).map(" ".join), st.lists(WORDS).map("".join)))
def test_whatever_the_text_it_is_an_expression_or_bad_input(text: str) -> None:
    for conditions in (False, True):
        with contextlib.suppress(BadInput):
            found = parse(text, place, "when", conditions=conditions)
            assert all(isinstance(leaf, Comparison | Condition) for leaf in leaves(found))


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_whatever_the_bytes_a_rule_file_is_rules_or_bad_input(raw: bytes) -> None:
    with pytest.raises(BadInput):
        read_rules(raw, "rules.yaml")


@given(
    when=st.one_of(st.text(max_size=40), st.lists(WORDS, max_size=6).map(" ".join)),
    over=st.one_of(st.sampled_from(["60s", "0s", "1e9h"]), st.text(max_size=10)),
    summary=st.text(max_size=30),
)
def test_whatever_is_quoted_in_a_rule_it_is_a_rule_or_bad_input(when: str, over: str, summary: str) -> None:
    text = (
        "version: 1\nrules:\n  - name: slow\n"
        f"    when: {json.dumps(when)}\n    over: {json.dumps(over)}\n    summary: {json.dumps(summary)}\n"
    )
    with contextlib.suppress(BadInput):
        assert len(read_rules(text, "rules.yaml").rules) == 1
