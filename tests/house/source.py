"""The package's own text, read once: what the guards of the house look at."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
_NAMED = re.compile(r"watchtower(\.\w+)+(:\w+)?")


class Module:
    """One file of Python."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.place = path.relative_to(ROOT).as_posix()
        """As people write it: ``watchtower/storage/head.py``."""
        parts = path.relative_to(ROOT).with_suffix("").parts
        self.name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        """As Python imports it."""

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def imports(self) -> frozenset[str]:
        """Dotted names of everything that is imported anywhere in it; ``from a import b`` names both a and a.b."""
        found: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module)
                found.update(f"{node.module}.{alias.name}" for alias in node.names)
        return frozenset(found)

    @cached_property
    def named(self) -> frozenset[str]:
        """Modules that its strings name, as the catalogue does: ``watchtower.sinks.log:LogSink``."""
        texts = (node.value for node in ast.walk(self.tree) if isinstance(node, ast.Constant))
        return frozenset(text.partition(":")[0] for text in texts if isinstance(text, str) and _NAMED.fullmatch(text))


class Function(NamedTuple):
    place: str
    lines: int


@cache
def modules(*folders: str) -> tuple[Module, ...]:
    """Every file below these folders of the repository, ``watchtower`` by default. Read once."""
    return tuple(
        Module(path) for folder in folders or ("watchtower",) for path in sorted((ROOT / folder).rglob("*.py"))
    )


def functions(module: Module) -> Iterator[Function]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Function(f"{module.place}: {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1)


def classes(module: Module) -> Iterator[str]:
    return (node.name for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef))


def bound_names(module: Module) -> Iterator[tuple[str, int]]:
    """Every name that the file gives to something, with its line: variables, arguments, functions, attributes."""
    for node in ast.walk(module.tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield name, node.lineno
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, node.lineno
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name, node.lineno
            case _:
                pass


def branches(module: Module) -> int:
    """Places where the file chooses: what a test can go through more than one way."""
    choosing = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.BoolOp, ast.match_case)
    nodes = list(ast.walk(module.tree))
    return sum(isinstance(node, choosing) or (isinstance(node, ast.comprehension) and bool(node.ifs)) for node in nodes)


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of names that reach each other (Tarjan), each sorted."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in graph[name]:
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            place = stack.index(name)
            group = stack[place:]
            del stack[place:]
            if len(group) > 1:
                found.append(sorted(group))

    for name in graph:
        if name not in index:
            visit(name)
    return sorted(found)
