"""Breaks the product in named places and asks the tests whether they notice: ``make mutants``.

Each mutant of ``tests/mutants.toml`` is one edit of one file and the tests that must go red with it. It is made in a
temporary copy of the tree, with only its own tests run there; the working tree is never touched. First the same tests
run unbroken, because a test that is red anyway proves nothing. A mutant is killed when its tests fail; it survived
when they pass; anything else (a test that cannot even be collected) is an error. Exit 1 unless every mutant is killed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from watchtower.clock import SystemClock

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "tests" / "mutants.toml"
RESULT = ROOT / "docs" / "mutants.md"
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", ".hypothesis", "*.png", "node_modules")
SECONDS = 600
"""For one run of a mutant's tests."""
KILLED, SURVIVED, ERROR = "killed", "survived", "error"
TESTS_FAILED = 1
"""pytest's exit code; 0 is: all passed, any other: nothing was proven."""


class Mutant(NamedTuple):
    name: str
    file: str
    before: str
    """Stands exactly once in the file."""
    after: str
    tests: tuple[str, ...]


def listed() -> list[Mutant]:
    """All mutants, in the order of the list; a table ``each`` makes one of every item. Raises ValueError."""
    found = []
    for entry in tomllib.loads(LIST.read_text(encoding="utf-8"))["mutant"]:
        tests = tuple(entry["tests"])
        for item in entry.get("each", [""]):
            texts = [entry[key].replace("{each}", item) for key in ("name", "file", "before")]
            found.append(Mutant(*texts, entry.get("after", "").replace("{each}", item), tests))
    for mutant in found:
        count = (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.before)
        if count != 1:
            raise ValueError(f"{mutant.name}: its text stands {count} times in {mutant.file}, not once")
    return found


def copied(into: Path) -> Path:
    shutil.copytree(ROOT, into, ignore=LEFT_OUT, symlinks=True)
    return into


def run(tree: Path, tests: Iterable[str], seed: int) -> tuple[int, str]:
    """pytest's exit code in ``tree``, and the last lines it wrote."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--hypothesis-seed={seed}",
        *tests,
    ]
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return TESTS_FAILED, f"no end within {SECONDS} s"
    return done.returncode, "\n".join(done.stdout.strip().splitlines()[-5:])


def verdict(tree: Path, mutant: Mutant, seed: int) -> tuple[str, str]:
    """What became of one mutant in ``tree``, which is whole again afterwards."""
    path = tree / mutant.file
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace(mutant.before, mutant.after), encoding="utf-8")
    try:
        code, said = run(tree, mutant.tests, seed)
    finally:
        path.write_text(whole, encoding="utf-8")
    return {0: SURVIVED, TESTS_FAILED: KILLED}.get(code, ERROR), said


def all_verdicts(mutants: list[Mutant], jobs: int, seed: int) -> dict[str, tuple[str, str]]:
    """By name. Prints progress on standard error."""
    with tempfile.TemporaryDirectory(prefix="watchtower-mutants-") as directory:
        trees = SimpleQueue[Path]()
        for number in range(jobs):
            trees.put(copied(Path(directory) / str(number)))

        def judge(mutant: Mutant) -> tuple[str, str]:
            tree = trees.get()
            try:
                found = verdict(tree, mutant, seed)
            finally:
                trees.put(tree)
            print(f"{found[0]:<9} {mutant.name}", file=sys.stderr, flush=True)
            return found

        tree = trees.get()
        print("the mapped tests, unbroken …", file=sys.stderr, flush=True)
        code, said = run(tree, sorted({test for mutant in mutants for test in mutant.tests}), seed)
        trees.put(tree)
        if code:
            raise SystemExit(f"the mapped tests fail without any mutant:\n{said}")
        with ThreadPoolExecutor(jobs) as pool:
            return dict(zip((mutant.name for mutant in mutants), pool.map(judge, mutants), strict=True))


def page(mutants: list[Mutant], found: dict[str, tuple[str, str]], seed: int) -> str:
    """docs/mutants.md."""
    killed = sum(state == KILLED for state, _ in found.values())
    rows = [f"| {m.name} | `{m.file}` | {', '.join(f'`{t}`' for t in m.tests)} | {found[m.name][0]} |" for m in mutants]
    lines = [
        "# Mutants",
        "",
        "Each is one edit that breaks a promise; the tests beside it must go red (`make mutants`, list in",
        "`tests/mutants.toml`).",
        "",
        f"Last run: {SystemClock().now().iso()[:10]}, seed {seed}: {killed} of {len(mutants)} killed.",
        "",
        "| Mutant | File | Tests | |",
        "|---|---|---|---|",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="mutants", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="machine-readable result on standard output")
    parser.add_argument("--record", action="store_true", help=f"write the result to {RESULT.relative_to(ROOT)}")
    parser.add_argument("--only", default="", help="only mutants with this in their name")
    parser.add_argument("--jobs", type=int, default=1, help="copies of the tree at work at once")
    parser.add_argument("--seed", type=int, default=1, help="of the property tests")
    chosen = parser.parse_args()
    mutants = [mutant for mutant in listed() if chosen.only in mutant.name]
    found = all_verdicts(mutants, max(1, chosen.jobs), chosen.seed)
    wrong = {name: said for name, (state, said) in found.items() if state != KILLED}
    if chosen.json:
        states = {name: state for name, (state, _) in found.items()}
        print(json.dumps({"seed": chosen.seed, "killed": len(found) - len(wrong), "mutants": states}, indent=2))
    else:
        for name, said in wrong.items():
            print(f"\n{found[name][0].upper()}: {name}\n{said}")
        print(f"{len(found) - len(wrong)} of {len(found)} killed")
    if chosen.record:
        RESULT.write_text(page(mutants, found, chosen.seed), encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
