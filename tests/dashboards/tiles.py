"""The panels of the present moment, as HTML and SVG: tiles, bars, tables."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from tests.dashboards.asking import Series
from tests.dashboards.charts import rect, text
from tests.dashboards.looks import Shown, ink, show, show_text

Json = dict[str, Any]


def tile(panel: Json, series: Sequence[Series], width: float, height: float) -> str:
    config = panel["fieldConfig"]["defaults"]
    by_name = panel["options"]["textMode"] == "name"
    shown = show(series[0].last if series else None, config)
    if by_name and series:
        shown = Shown(series[0].legend, shown.colour)
    filled = panel["options"]["colorMode"].startswith("background")
    size = min(height * 0.4, width / max(5.0, len(shown.text)) * 1.3)
    style = f"background:{shown.colour};color:{ink(shown.colour)}" if filled else f"color:{shown.colour}"
    return f'<div class="tile" style="{style};font-size:{size:.0f}px">{escape(shown.text)}</div>'


def bars(panel: Json, series: Sequence[Series], size: tuple[float, float]) -> str:
    width, height = size
    config = panel["fieldConfig"]["defaults"]
    if not series:
        return f'<div class="none">{config["noValue"]}</div>'
    most = max([1e-9, *(line.last or 0.0 for line in series)])
    row, names = min(34.0, height / len(series)), max(len(line.legend) for line in series) * 7.4 + 14
    parts = []
    for place, line in enumerate(series):
        shown, y = show(line.last, config), place * row
        wide = (line.last or 0.0) / most * (width - names - 60)
        parts.append(text(names - 8, y + row * 0.6, line.legend, anchor="end"))
        parts.append(rect(names, y + 3, width - names - 60, row - 6, "#22252b"))
        parts.append(rect(names, y + 3, wide, row - 6, shown.colour))
        parts.append(text(width - 52, y + row * 0.6, shown.text, fill=shown.colour))
    return f'<svg width="{width:.0f}" height="{height:.0f}">{"".join(parts)}</svg>'


def table(panel: Json, series: Sequence[Series]) -> str:
    """After Grafana's ``merge`` (rows with the same labels are one) and ``organize``."""
    alone = len(panel["targets"]) == 1
    merged: dict[tuple[tuple[str, str], ...], Json] = {}
    for line in series:
        row = merged.setdefault(tuple(sorted(line.labels.items())), dict(line.labels))
        row["Value" if alone else f"Value #{line.query}"] = line.last
    organize = panel["transformations"][1]["options"]
    looks = {override["matcher"]["options"]: override["properties"] for override in panel["fieldConfig"]["overrides"]}
    columns = sorted(organize["renameByName"], key=organize["indexByName"].__getitem__)
    head = "".join(f"<th>{escape(organize['renameByName'][name])}</th>" for name in columns)
    if not merged:
        return f'<div class="none">{panel["fieldConfig"]["defaults"]["noValue"]}</div>'
    body = ""
    for row in merged.values():
        cells = []
        for name in columns:
            config = {**panel["fieldConfig"]["defaults"]}
            config |= {look["id"]: look["value"] for look in looks.get(organize["renameByName"][name], ())}
            value = row.get(name)
            shown = show_text(value, config) if isinstance(value, str) else show(value, config)
            cell = config.get("custom.cellOptions", {}).get("type")
            style = f"background:{shown.colour};color:{ink(shown.colour)}" if cell == "color-background" else ""
            style = f"color:{shown.colour}" if cell == "color-text" else style
            cells.append(f'<td style="{style}">{escape(shown.text)}</td>')
        body += f"<tr>{''.join(cells)}</tr>"
    return f'<table class="rows"><tr>{head}</tr>{body}</table>'
