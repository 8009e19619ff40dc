"""A sentence is for people. Whoever decides looks at a kind; this test reads the source and forbids the rest.

The faces (web, exporters, sinks, programs, lab) may do with sentences what they like: they decide nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "watchtower"
FACES = {"web", "exporters", "sinks", "programs", "lab", "testing", "cli"}
SENTENCES = {"because", "sentence"}
LOOKING_INTO = {
    *("lower", "upper", "casefold", "startswith", "endswith", "find", "rfind", "index", "count"),
    *("split", "rsplit", "splitlines", "partition", "rpartition", "removeprefix", "removesuffix", "strip"),
}
PATTERNS = {"search", "match", "fullmatch", "findall"}
ALLOWED = {
    # a test of a rule asks for the words that its author wants to read
    ("rules/scenarios.py", "expected.says not in said.sentence"),
    # a line of the journal is written anew when what people read in it has changed
    (
        "remediation/blessing.py",
        "(after.observed, after.declared, after.because) != (before.observed, before.declared, before.because)",
    ),
}


def is_sentence(node: ast.expr) -> bool:
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name) if name in SENTENCES:
            return True
        case ast.Attribute(value=of, attr="text") | ast.Call(func=ast.Name(id="str"), args=[of]):
            return "reason" in ast.unparse(of).lower()
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return any(map(is_sentence, parts))
        case ast.BoolOp(values=values):
            return any(map(is_sentence, values))
        case _:
            return False


def looks_into(node: ast.AST) -> bool:
    """Whether this expression asks what a sentence says. Whether there is one may be asked."""
    match node:
        case ast.Compare(left=left, comparators=rest):
            nothing = any(isinstance(part, ast.Constant) and part.value is None for part in rest)
            return not nothing and any(map(is_sentence, (left, *rest)))
        case ast.Call(func=ast.Attribute(value=of, attr=method)) if method in LOOKING_INTO:
            return is_sentence(of)
        case ast.Call(func=ast.Attribute(attr=method), args=arguments) if method in PATTERNS:
            return any(map(is_sentence, arguments))
        case ast.Match(subject=subject):
            return is_sentence(subject)
        case _:
            return False


def decisions(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if looks_into(node):
            yield ast.unparse(node.subject if isinstance(node, ast.Match) else node)


def test_no_decision_reads_a_sentence() -> None:
    found = {
        (str(path.relative_to(PACKAGE)), decision)
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] not in FACES
        for decision in decisions(path.read_text(encoding="utf-8"))
    }
    assert found == ALLOWED


@pytest.mark.parametrize(
    "source",
    [
        "'idle' in reading.because",
        "verdict.sentence == 'idle'",
        "verdict.sentence.lower()",
        "because.startswith('idle')",
        "reading.reason.text != other",
        "str(reason) == 'idle'",
        "re.search('warm', verdict.sentence)",
        "any(word in verdict.sentence.lower() for word in QUIET)",
        "(a.because, 1) == (b.because, 1)",
        "match fact.because:\n    case 'gone': pass",
    ],
)
def test_this_test_sees_a_sentence_that_decides(source: str) -> None:
    assert list(decisions(source))


@pytest.mark.parametrize(
    "source", ["reading.because or 'none'", "reason.kind is ReasonKind.IDLE", "f'{because}'", "token.text == 'not'"]
)
def test_this_test_lets_people_be_told(source: str) -> None:
    assert not list(decisions(source))
