"""Processes are made in one room: nobody grows a supervisor of its own."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "watchtower"
MAKERS = {"create_subprocess_exec", "create_subprocess_shell", "Popen", "posix_spawn", "fork", "forkpty"}
EXEMPT = {
    "children": "the room itself",
    "adapters/keeper": "the keeper is nobody's child, and the engine is the keeper's",
    "lab": "benchmarks and demonstrations start what they measure",
}


def makers(source: str) -> set[str]:
    if not any(maker in source for maker in MAKERS):
        return set()  # to read every tree takes seconds
    return {
        node.attr for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute) and node.attr in MAKERS
    }


def test_the_search_finds_what_it_looks_for() -> None:
    assert makers("import os, asyncio\nos.fork()\nasyncio.create_subprocess_exec('x')") == {
        "fork",
        "create_subprocess_exec",
    }
    assert makers((PACKAGE / "children" / "outliving.py").read_text(encoding="utf-8")) == {"Popen"}


def test_only_children_and_the_keeper_make_processes() -> None:
    found = {
        str(path.relative_to(PACKAGE)): names
        for path in sorted(PACKAGE.rglob("*.py"))
        if not any(path.is_relative_to(PACKAGE / exempt) for exempt in EXEMPT)
        and (names := makers(path.read_text(encoding="utf-8")))
    }
    assert found == {}
