from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchtower.configuration.tree import MappingNode, ScalarNode, at, data, place_of
from watchtower.configuration.yamltree import read_yaml
from watchtower.vocabulary.errors import BadInput


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("off", "off"),
        ("yes", "yes"),
        ("No", "No"),
        ("12:30:00", "12:30:00"),
        ("2024-01-01", "2024-01-01"),
        ("010", "010"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("8000", 8000),
        ("-1.5e3", -1500.0),
        (".inf", ".inf"),
        ("~", None),
        ("", None),
        ("'8000'", "8000"),
    ],
)
def test_only_what_looks_like_a_boolean_or_number_is_one(text: str, value: object) -> None:
    assert data(read_yaml(f"x: {text}\n", "f.yaml")) == {"x": value}


def test_every_value_knows_the_place_of_its_key() -> None:
    tree = read_yaml("relay:\n  hold:\n    wait_seconds: 5\nsinks:\n  - kind: log\n", "f.yaml")
    assert place_of(tree, ("relay", "hold", "wait_seconds")).exact() == "f.yaml:3:5"
    assert str(place_of(tree, ("sinks", 0, "kind"))) == "f.yaml:5"
    assert str(place_of(tree, ("relay", "hold", "not_written"))) == "f.yaml:2"


def test_merged_keys_yield_to_written_ones_and_keep_their_place() -> None:
    tree = read_yaml("a: &a\n  x: 1\n  y: 2\nb:\n  <<: *a\n  x: 3\n", "f.yaml")
    assert data(tree) == {"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}}
    assert str(place_of(tree, ("b", "y"))) == "f.yaml:3"


@pytest.mark.parametrize(
    ("yaml", "needle", "where"),
    [
        ("when: abc def", "def", "f.yaml:1:11"),
        ("when: 'abc def'", "def", "f.yaml:1:12"),
        ("when: >\n  abc\n  def\n", "def", "f.yaml:3:3"),
        ("when: |\n    abc\n\n    x def\n", "def", "f.yaml:4:7"),
        ("when: abc\n   def\n", "def", "f.yaml:2:4"),
    ],
)
def test_a_character_inside_a_value_is_found_again_in_the_file(yaml: str, needle: str, where: str) -> None:
    node = at(read_yaml(yaml, "f.yaml"), ("when",))
    assert isinstance(node, ScalarNode)
    assert node.locate(node.text.index(needle)) == where


def test_all_structural_mistakes_are_told_together() -> None:
    with pytest.raises(BadInput) as refused:
        read_yaml("a: 1\na: 2\nb: !x 1\nb: 3\n", "f.yaml")
    assert [problem.where for problem in refused.value.problems] == ["f.yaml:2:1", "f.yaml:3:4", "f.yaml:4:1"]


PIECES = st.sampled_from(
    [
        *"ab:-{}[]&*!|>'\"%@`#,?~ \t\n",
        "  ",
        "- ",
        ": ",
        "<<: ",
        "*a",
        "&a ",
        "---\n",
        "...\n",
        "\\x",
        "\\U00",
        "%YAML 9",
    ]
)


@settings(max_examples=300)
@given(st.one_of(st.binary(max_size=120), st.lists(PIECES, max_size=40).map(lambda parts: "".join(parts).encode())))
def test_whatever_the_bytes_they_are_a_tree_or_bad_input(raw: bytes) -> None:
    with contextlib.suppress(BadInput):
        tree = read_yaml(raw, "f.yaml")
        assert isinstance(tree, MappingNode)
        data(tree)
