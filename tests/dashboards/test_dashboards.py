"""What every dashboard promises: nothing unexplained, no metric that nobody exports, no green without data."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.generate import DASHBOARDS, texts
from dashboards.limits import SHIPPED, read_limits
from dashboards.palette import UNKNOWN
from dashboards.queries import SCRAPED, metric
from tests.dashboards.asking import View, panels

ROOT = Path(__file__).resolve().parents[2]
ALL: dict[str, dict[str, Any]] = {
    path.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "dashboards").glob("*.json"))
}
EVERY_PANEL = [
    pytest.param(panel, id=f"{name.removesuffix('.json')}: {panel['title']}")
    for name, dashboard in ALL.items()
    for panel in panels(dashboard)
]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
promtool = shutil.which("promtool")


def expressions(dashboard: dict[str, Any]) -> list[str]:
    asked = [target["expr"] for panel in panels(dashboard) for target in panel["targets"]]
    return [*asked, *(annotation["expr"] for annotation in dashboard["annotations"]["list"])]


EXPRESSIONS = sorted({expression for dashboard in ALL.values() for expression in expressions(dashboard)})


def test_the_committed_files_are_what_the_generator_writes() -> None:
    committed = {name: (ROOT / "dashboards" / name).read_text(encoding="utf-8") for name in ALL}
    assert committed == texts(read_limits())


@pytest.mark.parametrize("panel", EVERY_PANEL)
def test_a_panel_says_what_it_shows_in_which_unit_from_the_chosen_source(panel: dict[str, Any]) -> None:
    question, _, sources = panel["description"].partition("\n\nFrom ")
    assert len(question) > 20
    assert "`" in sources
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == SOURCE
    assert all(target["datasource"] == SOURCE for target in panel["targets"])


@pytest.mark.parametrize("panel", EVERY_PANEL)
def test_a_panel_without_data_does_not_look_healthy(panel: dict[str, Any]) -> None:
    config = panel["fieldConfig"]["defaults"]
    assert config["noValue"] not in ("", "0", "OK")
    if panel["type"] == "stat":
        assert all(target["instant"] for target in panel["targets"]), "the last value of a range may be an hour old"
        special = [mapping["options"]["result"] for mapping in config["mappings"] if mapping["type"] == "special"]
        assert special == [{"text": config["noValue"], "color": UNKNOWN}]
        if panel["options"]["colorMode"] != "value":
            assert config["thresholds"]["steps"][0] == {"value": None, "color": UNKNOWN}


def test_every_metric_of_every_query_is_exported() -> None:
    exported = set(re.findall(r"^\| `(\w+)`", (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8"), flags=re.M))
    selected = {name for text in EXPRESSIONS for name in re.findall(r"(\w+){", text)}
    parts = re.compile(r"_(?:bucket|sum|count)$")
    unknown = {name for name in selected - SCRAPED if name not in exported and parts.sub("", name) not in exported}
    assert len(selected) > 50
    assert unknown == set()


def test_a_metric_that_nobody_exports_cannot_be_asked_for() -> None:
    with pytest.raises(KeyError, match="watchtower_invented"):
        metric("watchtower_invented")


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_query_asks_for_the_chosen_server_and_counters_for_their_rate(expression: str) -> None:
    for selector in re.findall(r"\w+{([^}]*)}", expression):
        assert 'job=~"$job"' in selector
        assert 'instance="$instance"' in selector or "by (instance)" in expression
    for counter in re.finditer(r"\w+_total{[^}]*}", expression):
        assert re.search(r"(rate|increase)\($", expression[: counter.start()]), counter[0]
        assert expression[counter.end() :].startswith(("[$__rate_interval]", "[$__range]"))


@pytest.mark.skipif(promtool is None, reason="promtool is not installed")
def test_promtool_can_read_every_query(tmp_path: Path) -> None:
    view = View(0, 3600, "server:9470")
    rules = [{"record": f"q{place}", "expr": view.fill(text)} for place, text in enumerate(EXPRESSIONS)]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    assert promtool is not None
    done = subprocess.run([promtool, "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ALL)
def test_panels_have_numbers_of_their_own_and_do_not_overlap(name: str) -> None:
    placed = ALL[name]["panels"]
    assert [panel["id"] for panel in placed] == list(range(1, len(placed) + 1))
    boxes = [panel["gridPos"] for panel in placed]
    assert all(box["x"] + box["w"] <= 24 for box in boxes)
    for box, other in combinations(boxes, 2):
        beside = box["x"] + box["w"] <= other["x"] or other["x"] + other["w"] <= box["x"]
        below = box["y"] + box["h"] <= other["y"] or other["y"] + other["h"] <= box["y"]
        assert beside or below, (box, other)


@pytest.mark.parametrize("name", ALL)
def test_a_line_of_panels_has_no_hole(name: str) -> None:
    covered = sum(panel["gridPos"]["w"] * panel["gridPos"]["h"] for panel in ALL[name]["panels"])
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in ALL[name]["panels"])
    assert covered == 24 * height


def tiles(dashboards: dict[str, dict[str, Any]], title: str) -> list[list[dict[str, Any]]]:
    return [
        panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        for dashboard in dashboards.values()
        for panel in panels(dashboard)
        if panel["type"] == "stat" and panel["title"] == title
    ]


@pytest.mark.parametrize(
    ("title", "shipped", "own"),
    [
        ("Per-token latency, p95", 0.13, 0.055),
        ("GPU spread", 0.15, 0.25),
        ("Similarity", 0.92, 0.88),
        ("Straggler score", 1.0, 2.0),
    ],
)
def test_a_tile_turns_red_at_the_limit_of_the_rules(title: str, shipped: float, own: float, tmp_path: Path) -> None:
    rules = SHIPPED.read_text(encoding="utf-8")
    for before, after in (("130ms", "55ms"), ("15pp", "25pp"), ("< 0.92", "< 0.88"), ("score >= 1", "score >= 2")):
        rules = rules.replace(before, after)
    changed = tmp_path / "rules.yaml"
    changed.write_text(rules)
    mine = {name: json.loads(text) for name, text in texts(read_limits(changed)).items()}
    for dashboards, limit in ((ALL, shipped), (mine, own)):
        found = tiles(dashboards, title)
        assert found
        assert all(steps[-1]["value"] == limit for steps in found)


def test_names_by_which_others_link_to_a_dashboard_never_change() -> None:
    assert {dashboard["uid"] for dashboard in ALL.values()} == {
        "watchtower-overview",
        "watchtower-latency",
        "watchtower-quality",
        "watchtower-gpu",
        "watchtower-remediation",
        "watchtower-itself",
    }
    assert set(ALL) == set(DASHBOARDS)


def test_every_link_to_a_dashboard_leads_to_one() -> None:
    text = json.dumps(list(ALL.values()))
    assert set(re.findall(r"/d/([\w-]+)", text)) <= {dashboard["uid"] for dashboard in ALL.values()}


@pytest.mark.parametrize("name", ALL)
def test_a_dashboard_marks_incidents_and_actions_and_leads_to_the_console(name: str) -> None:
    dashboard = ALL[name]
    assert {"Incident", "Action"} <= {annotation["name"] for annotation in dashboard["annotations"]["list"]}
    assert {link["url"] for link in dashboard["links"] if link["type"] == "link"} == {"${console}/"}
    assert next(link for link in dashboard["links"] if link["type"] == "dashboards")["includeVars"]
    assert [variable["name"] for variable in dashboard["templating"]["list"]] == [
        "datasource",
        "job",
        "instance",
        "model",
        "console",
    ]


def test_grafana_is_told_where_dashboards_and_samples_are() -> None:
    provisioning = ROOT / "docker" / "grafana" / "provisioning"
    source = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"][0]
    assert source["type"] == "prometheus"
    assert source["jsonData"]["timeInterval"]
    provider = yaml.safe_load((provisioning / "dashboards" / "watchtower.yaml").read_text())["providers"][0]
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"
    assert provider["allowUiUpdates"] is False
