"""Draws a dashboard's JSON, with what a Prometheus answers, as a picture: close enough to Grafana's to judge it by eye.

    python -m tests.dashboards.renderer DIR [NAME…]     pictures of samples that tests.dashboards.scene left in DIR

Everything comes from the JSON (layout, units, mappings, thresholds, overrides); what it does not say is not drawn.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from html import escape
from pathlib import Path
from typing import Any

from tests.dashboards import charts, tiles
from tests.dashboards.asking import Series, View, ask
from tests.dashboards.prometheus import Prometheus, prometheus
from tests.dashboards.scene import SHOWN_SECONDS

Json = dict[str, Any]
DASHBOARDS = Path(__file__).resolve().parents[2] / "dashboards"
CHROMIUM = shutil.which("chromium")
WIDTH, UNIT, GAP, HEAD = 1600, 30, 8, 28
STYLE = """
body{margin:0;background:#111217;color:#ccccdc;font:13px Inter,"DejaVu Sans",sans-serif;width:1600px}
h1{font-size:18px;font-weight:500;margin:12px 16px 2px} p{margin:0 16px 8px;color:#8e8e9c}
.panel{position:absolute;background:#181b1f;border:1px solid #25272d;border-radius:3px;overflow:hidden}
.panel{box-sizing:border-box}
.panel h2{font-size:13px;font-weight:500;margin:5px 8px 0;height:20px;white-space:nowrap}
.row{position:absolute;font-size:15px;font-weight:500;padding:6px 4px;color:#ccccdc}
.tile{position:absolute;inset:27px 0 0 0;display:flex;align-items:center;justify-content:center;font-weight:500}
.panel.filled h2{color:#ccccdc} .none{display:flex;height:70%;align-items:center;justify-content:center;color:#8e8e9c}
svg text{font-size:11.5px;fill:#9fa2ae} .grid{stroke:#25282e} svg{display:block}
.legend{font-size:11.5px;padding:0 8px} .legend span{margin-right:14px}
.legend i{display:inline-block;width:12px;height:3px;margin:0 5px 3px 0}
table.legend{width:100%} table.legend td,table.legend th{text-align:right;padding:0 6px}
table.legend td,table.legend th{font-weight:400;line-height:16px}
table.legend td:first-child{text-align:left} table.legend th{color:#6ea6ff}
.rows{width:100%;border-collapse:collapse;font-size:12.5px} .rows th{text-align:left;color:#6ea6ff;font-weight:500}
.rows td,.rows th{padding:5px 10px;border-bottom:1px solid #25272d}
"""


def page(dashboard: Json, server: Prometheus, view: View) -> tuple[str, int]:
    """The HTML, and its height in pixels."""
    marks = marked(dashboard, server, view)
    column = (WIDTH - GAP) / 24
    parts, bottom = [], 0.0
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        left, top = GAP + place["x"] * column, 58 + place["y"] * (UNIT + GAP)
        width, height = place["w"] * column - GAP, place["h"] * (UNIT + GAP) - GAP
        bottom = max(bottom, top + height)
        box = f"left:{left:.0f}px;top:{top:.0f}px;width:{width:.0f}px;height:{height:.0f}px"
        if panel["type"] == "row":
            parts.append(f'<div class="row" style="{box}">{escape(panel["title"])}</div>')
            continue
        answers = [series for target in panel["targets"] for series in ask(server, target, view)]
        body = _body(panel, answers, view, marks, (width - 2, height - HEAD - 2))
        parts.append(f'<div class="panel" style="{box}"><h2>{escape(panel["title"])}</h2>{body}</div>')
    head = f"<h1>{escape(dashboard['title'])}</h1><p>{escape(dashboard['description'])}</p>"
    return f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{head}{''.join(parts)}", int(bottom + 12)


def _body(
    panel: Json, series: list[Series], view: View, marks: list[tuple[float, float, str]], size: tuple[float, float]
) -> str:
    match panel["type"]:
        case "stat":
            return tiles.tile(panel, series, *size)
        case "timeseries":
            return charts.lines(panel, series, view, marks, size)
        case "state-timeline":
            return charts.bands(panel, series, view, size)
        case "heatmap":
            return charts.heat(panel, series, view, size)
        case "bargauge":
            return tiles.bars(panel, series, size)
        case "table":
            return tiles.table(panel, series)
        case other:
            raise AssertionError(f"no way to draw a {other}")


def marked(dashboard: Json, server: Prometheus, view: View) -> list[tuple[float, float, str]]:
    """Regions: consecutive samples of a series are one, as in Grafana."""
    regions = []
    for annotation in dashboard["annotations"]["list"]:
        for marks in server.over(view.fill(annotation["expr"]), view.start, view.end, view.step):
            times = [float(at) for at, _ in marks["values"]]
            start = times[0]
            for before, at in zip(times, [*times[1:], float("inf")], strict=True):
                if at - before > view.step * 1.5:
                    regions.append((start, before, annotation["iconColor"]))
                    start = at
    return regions


def picture(dashboard: Json, server: Prometheus, view: View, to: Path, *, scale: float = 1.0) -> None:
    """Write ``to`` (PNG, 1600 × ``scale`` pixels wide), and the page beside it (HTML)."""
    assert CHROMIUM is not None
    html, height = page(dashboard, server, view)
    source = to.with_suffix(".html")
    source.write_text(html, encoding="utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--screenshot={to}"]
    command += [f"--force-device-scale-factor={scale:g}"]
    command += [f"--user-data-dir={to.parent / 'chromium'}", f"--window-size={WIDTH},{height}", source.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


def main() -> None:
    directory = Path(sys.argv[1])
    chosen = sys.argv[2:] or [path.stem for path in sorted(DASHBOARDS.glob("*.json"))]
    with prometheus(directory) as server:
        newest, instance = server.newest()
        view = View(newest - SHOWN_SECONDS, newest - 3, instance)
        for name in chosen:
            dashboard = json.loads((DASHBOARDS / f"{name}.json").read_text(encoding="utf-8"))
            picture(dashboard, server, view, directory / f"{name}.png")


if __name__ == "__main__":
    main()
