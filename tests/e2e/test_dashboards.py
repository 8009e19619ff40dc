"""Every query of every dashboard returns data on a real Prometheus that scraped a daemon through three faults."""

from __future__ import annotations

import asyncio
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.dashboards import prometheus, renderer, scene
from tests.dashboards.asking import View, ask, panels

EMPTY = (
    {} if find_spec("sentence_transformers") else {"watchtower_similarity_": "the extra 'similarity' is not installed"}
)
"""Metrics (by the beginning of their names) without which a query may stay empty, and why."""
DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in sorted(renderer.DASHBOARDS.glob("*.json"))}


class Answers:
    """What was found while the scene still ran."""

    empty: dict[str, list[str]]
    """Panel → expressions without any data at any time of the scene."""
    marks: list[tuple[float, float, str]]
    pages: dict[str, str]


def empty(server: prometheus.Prometheus, panel: dict[str, Any], view: View) -> list[str]:
    """A tile asks for the present; here it is asked at every instant of the scene."""
    targets = [{**target, "instant": False} for target in panel["targets"]]
    return [
        target["expr"]
        for target in targets
        if not any(series.points for series in ask(server, target, view))
        and not any(metric in target["expr"] for metric in EMPTY)
    ]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    return asyncio.run(asked(tmp_path_factory.mktemp("dashboards")))


async def asked(directory: Path) -> Answers:
    found = Answers()
    async with scene.played(directory) as server:
        newest, instance = server.newest()
        view = View(newest - scene.SHOWN_SECONDS, newest - 1, instance)
        found.empty = {
            f"{name}: {panel['title']}": missing
            for name, dashboard in DASHBOARDS.items()
            for panel in panels(dashboard)
            if (missing := empty(server, panel, view))
        }
        found.marks = renderer.marked(DASHBOARDS["overview"], server, view)
        found.pages = {name: renderer.page(dashboard, server, view)[0] for name, dashboard in DASHBOARDS.items()}
    return found


@pytest.mark.long
@pytest.mark.skipif(prometheus.BINARY is None, reason="prometheus is not installed")
@pytest.mark.timeout(600)
class TestALiveScene:
    def test_every_query_returned_data_or_says_why_not(self, answers: Answers) -> None:
        assert answers.empty == {}

    def test_the_incidents_and_the_action_were_marked(self, answers: Answers) -> None:
        colours = [colour for _, _, colour in answers.marks]
        assert colours.count("red") >= 3
        assert "blue" in colours

    def test_the_overview_tells_the_story(self, answers: Answers) -> None:
        page = answers.pages["overview"]
        for word in ("CLEAR", "ACTING", "VERIFYING", "FIRING", "restart_group", "rollback", "effective", "WATCHING"):
            assert word in page, word
