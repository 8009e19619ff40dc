"""How a crosscheck is shown; ``tests/lab/benchmarks/crosscheck`` tests what is shown."""

from __future__ import annotations

import io
import json

import msgspec
import pytest
from rich.console import Console

from watchtower.lab.benchmarks.crosscheck.differences import DIRECT, HISTOGRAMS, READINGS, RECORDING, RELAYED
from watchtower.lab.benchmarks.crosscheck.differences import CrosscheckLeg as Leg
from watchtower.lab.benchmarks.crosscheck.legs import Crosscheck, CrosscheckPlan
from watchtower.lab.benchmarks.crosscheck.measured import Definition, Figures, Latencies
from watchtower.lab.benchmarks.host import this_machine
from watchtower.programs.crosscheck import show, to_json


def figures(value: float, *, notes: list[str] | None = None, **buckets: tuple[float, float]) -> Figures:
    gaps = Latencies(count=9, statistics={} if buckets else {"p95": value}, buckets=buckets)
    return Figures(requests=3, output_tokens=12, distributions={Definition.GAP: gaps}, notes=notes or [])


@pytest.fixture
def found() -> Crosscheck:
    ours = {
        READINGS: figures(0.0205, notes=["the readings stand on 2 of 3 requests"]),
        HISTOGRAMS: figures(0, p95=(0.02, float("inf"))),
        RECORDING: Figures(requests=3, output_tokens=12, distributions={}),
    }
    legs = [
        Leg(tool="aiperf", route="chat", way=DIRECT, round=1, theirs=figures(0.019), engine=figures(0.018)),
        Leg(tool="aiperf", route="chat", way=RELAYED, round=1, theirs=figures(0.02), engine=figures(0.018), ours=ours),
    ]
    return Crosscheck(plan=CrosscheckPlan(), machine=this_machine({}), legs=legs)


def test_everybodys_figure_stands_in_one_line(found: Crosscheck) -> None:
    shown = io.StringIO()
    show(Console(file=shown, width=160), found)
    lines = [line.split() for line in shown.getvalue().splitlines()]
    assert ["p95", "19.00", "20.00", "20.50", "readings", "+2.5", "%", "18.00"] in [line[-8:] for line in lines]
    assert ["over", "20", "histograms", "+0.0", "%", "18.00"] in [line[-6:] for line in lines]
    assert ["aiperf", "chat", "output", "tokens", "12", "12", "12"] in lines
    assert "aiperf, chat, our readings: the readings stand on 2 of 3 requests" in shown.getvalue()


def test_the_same_as_json_is_one_object(found: Crosscheck) -> None:
    told = json.loads(json.dumps(to_json(found)))
    assert [row["difference_percent"] for row in told["rows"]] == [pytest.approx(2.5), 0.0]
    assert msgspec.convert(told["plan"], CrosscheckPlan) == found.plan
    assert {budget["met"] for budget in told["budgets"]} == {True}
