"""What it takes to add a signal: its row among the readings, a class where its facts are new, and the class's line.

A family of somebody else's is handed to the windows here from outside the package; everything that names readings
(rules, windows, status, metrics) finds it by its row alone.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from watchtower.board import Board
from watchtower.exporters.prometheus import BoardCollector
from watchtower.rules.rule_files import read_rules
from watchtower.vocabulary.facts import AnyFact, EngineScrape, LoopLagged
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.metrics import reading_metric
from watchtower.vocabulary.readings import READINGS, Explanation, Reading, ReadingKind, Truth, Unit, Verdict
from watchtower.vocabulary.reasons import Reason, ReasonKind
from watchtower.windows import Windows

PACKAGE = Path(__file__).parents[2] / "watchtower"
LATE = ReadingKind(name="own_lag.longest", unit=Unit.SECONDS, help="The longest that we ourselves stood still.")
SWAPPED = ReadingKind(name="engine_swapped", unit=Unit.COUNT, help="Requests the engine says are swapped out.")


class OwnLag:
    """A family with one reading, as a stranger would write it."""

    names = ("own_lag",)

    def __init__(self) -> None:
        self._lags: list[LoopLagged] = []

    def absorb(self, fact: AnyFact) -> None:
        if isinstance(fact, LoopLagged):
            self._lags.append(fact)

    def reset(self, mark: float) -> None:
        self._lags.clear()

    def read(self, name: str, over: float, now: float) -> Reading:
        seconds = [fact.seconds for fact in self._lags if now - over <= fact.at]
        reason = None if seconds else Reason(ReasonKind.TOO_FEW, "we were never late", "daemon")
        return Reading(name=name, over=over, at=now, value=max(seconds, default=None), reason=reason)


class FullerScrape(EngineScrape, frozen=True, kw_only=True):
    swapped: float | None = None


@pytest.fixture(autouse=True)
def rows(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (LATE, SWAPPED):
        monkeypatch.setitem(READINGS, kind.name, kind)


def test_a_family_of_signals_is_a_row_and_a_class() -> None:
    windows = Windows(more=[OwnLag()])
    unknown = windows.read("own_lag.longest", 60, 100)
    assert unknown.reason is not None
    assert unknown.reason.kind is ReasonKind.TOO_FEW
    windows.absorb(LoopLagged(at=90, seconds=4.0))
    assert windows.read("own_lag.longest", 60, 100).value == 4.0


def test_what_an_engine_tells_of_itself_is_a_row_and_a_field_of_the_scrape() -> None:
    windows = Windows(more=[OwnLag()])
    windows.absorb(FullerScrape(at=99, ok=True, swapped=3.0))
    assert windows.read("engine_swapped", 60, 100).value == 3.0


def test_a_rule_may_name_it_at_once_and_says_it_in_its_unit() -> None:
    text = "version: 1\nrules:\n  - {name: late, when: own_lag.longest > 2s, summary: 'late by {value}'}\n"
    rules, windows = read_rules(text, "rules.yaml"), Windows(more=[OwnLag()])
    windows.absorb(LoopLagged(at=90, seconds=4.0))
    _, (verdict,) = rules.evaluate(
        lambda signal, over: windows.read(signal, over, 100),
        lambda name: Explanation(Truth.FALSE, None, ""),
        rules.initial(),
        100,
    )
    assert (verdict.verdict, verdict.sentence) == (Verdict.BREACH, "late by 4 s")


def test_status_and_metrics_show_it_by_its_row() -> None:
    board = Board(target="t", version="1", mode="observe", profile="safe", started=Instant(0, 0, "b"))
    board.readings = (Reading(name="own_lag.longest", over=60, at=100, value=4.0),)
    assert [reading["name"] for reading in board.status(Instant(0, 0, "b"))["readings"]] == ["own_lag.longest"]
    registry = CollectorRegistry()
    registry.register(BoardCollector(board))
    assert registry.get_sample_value(reading_metric("own_lag.longest")) == 4.0


def test_a_signal_of_the_package_touches_its_row_and_its_file_and_a_new_family_one_line_more() -> None:
    """Where the name of a family that stands alone is written in the package, beside rules and faces that use it."""
    named = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in ("live_agreement", "live_agreement.mean")
    }
    assert named == {"vocabulary/readings.py", "windows/live_windows.py"}
    listed = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if "import LiveWindows" in path.read_text(encoding="utf-8")
    }
    assert listed == {"windows/families.py"}
