"""The panels with a time axis, as SVG: lines, bands, heat. Times are UTC."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from html import escape
from typing import Any

from tests.dashboards.asking import Series, View
from tests.dashboards.looks import CLASSIC, colour, ink, number, show

Json = dict[str, Any]
LEFT, BOTTOM = 58, 18


def rect(x: float, y: float, width: float, height: float, fill: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}"/>'


def text(x: float, y: float, words: str, *, anchor: str = "start", fill: str = "#9fa2ae") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" style="fill:{fill}">{escape(words)}</text>'


def _axis(view: View, width: float, height: float) -> str:
    parts = []
    span = view.end - view.start
    gap = next(step for step in (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600) if span / step <= width / 75)
    at = math.ceil(view.start / gap) * gap
    while at <= view.end:
        x = LEFT + (at - view.start) / span * (width - LEFT - 8)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{height - BOTTOM}"/>')
        if LEFT + 24 < x < width - 24:
            parts.append(text(x, height - 4, time.strftime("%H:%M:%S", time.gmtime(at)), anchor="middle"))
        at += gap
    return "".join(parts)


def _regions(regions: Sequence[tuple[float, float, str]], view: View, width: float, height: float) -> str:
    span, parts = view.end - view.start, []
    for start, end, shade in regions:
        x = LEFT + (start - view.start) / span * (width - LEFT - 8)
        wide = max(1.0, (end - start) / span * (width - LEFT - 8))
        parts.append(
            f'<rect x="{x:.1f}" y="4" width="{wide:.1f}" height="{height - BOTTOM - 4:.1f}" fill="{colour(shade)}" '
            f'opacity=".13"/><line x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{height - BOTTOM}" stroke="{colour(shade)}" '
            'stroke-dasharray="3 3"/>'
        )
    return "".join(parts)


def _ticks(low: float, high: float) -> list[float]:
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    return [step * place for place in range(math.ceil(low / step), math.floor(high / step + 1e-9) + 1)]


def lines(
    panel: Json,
    series: Sequence[Series],
    view: View,
    regions: Sequence[tuple[float, float, str]],
    size: tuple[float, float],
) -> str:
    width, height = size
    config = panel["fieldConfig"]["defaults"]
    custom = config["custom"]
    overrides = {
        override["matcher"]["options"]: override["properties"] for override in panel["fieldConfig"]["overrides"]
    }
    logarithmic = custom.get("scaleDistribution", {}).get("type") == "log"
    table = panel["options"]["legend"]["displayMode"] == "table"
    below = 18.0 * (len(series) + 1) if table else 20.0
    plot = max(60.0, height - below)
    if not series:
        return f'<div class="none">{config["noValue"]}</div>'
    values = [value for line in series for _, value in line.points]
    low = config.get("min", min([custom.get("axisSoftMin", math.inf), *(values or [0.0])]))
    high = config.get("max", max(values)) if values else low + 1.0
    high = high if high > low else low + 1.0
    if logarithmic:
        low, high = min(value for value in values if value > 0), max(values)
    high = high + (high - low) * 0.06 if "max" not in config else high

    def y(value: float) -> float:
        share = (
            math.log10(max(value, low) / low) / max(1e-9, math.log10(high / low))
            if logarithmic
            else (value - low) / (high - low)
        )
        return plot - BOTTOM - share * (plot - BOTTOM - 6)

    parts = [_axis(view, width, plot), _regions(regions, view, width, plot)]
    ticks = [10.0**p for p in range(-3, 6) if low <= 10.0**p <= high] if logarithmic else _ticks(low, high)
    for tick in ticks:
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{width - 8}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        parts.append(text(LEFT - 6, y(tick) + 4, number(tick, config), anchor="end"))
    legend = []
    for place, line in enumerate(series):
        shade, dash = CLASSIC[place % len(CLASSIC)], ""
        for look in (*overrides.get(line.query, ()), *overrides.get(line.legend, ())):
            if look["id"] == "color":
                shade = colour(look["value"]["fixedColor"])
            if look["id"] == "custom.lineStyle":
                dash = ' stroke-dasharray="8 6"'
        parts.append(f'<path d="{_path(line, view, width, y)}" stroke="{shade}" stroke-width="2" fill="none"{dash}/>')
        legend.append((shade, line))
    svg = f'<svg width="{width:.0f}" height="{plot:.0f}">{"".join(parts)}</svg>'
    return svg + (_legend_table(legend, config) if table else _legend_list(legend))


def _path(line: Series, view: View, width: float, y: Any) -> str:
    parts, before = [], -math.inf
    for at, value in line.points:
        x = LEFT + (at - view.start) / (view.end - view.start) * (width - LEFT - 8)
        parts.append(f"{'L' if at - before <= view.step * 1.5 else 'M'}{x:.1f},{y(value):.1f}")
        before = at
    return "".join(parts)


def _legend_list(legend: Sequence[tuple[str, Series]]) -> str:
    items = "".join(f'<span><i style="background:{shade}"></i>{escape(line.legend)}</span>' for shade, line in legend)
    return f'<div class="legend">{items}</div>'


def _legend_table(legend: Sequence[tuple[str, Series]], config: Json) -> str:
    body = "".join(
        f'<tr><td><i style="background:{shade}"></i>{escape(line.legend)}</td>'
        f"<td>{number(line.points[-1][1], config)}</td>"
        f"<td>{number(max(value for _, value in line.points), config)}</td></tr>"
        for shade, line in legend
        if line.points
    )
    return f'<table class="legend"><tr><th></th><th>Last</th><th>Max</th></tr>{body}</table>'


def bands(panel: Json, series: Sequence[Series], view: View, size: tuple[float, float]) -> str:
    width, height = size
    config = panel["fieldConfig"]["defaults"]
    if not series:
        return f'<div class="none">{config["noValue"]}</div>'
    names = max(len(line.legend) for line in series) * 7.0 + 12
    row = (height - BOTTOM - 4) / len(series)
    scale = (width - names - 8) / (view.end - view.start)
    parts = []
    for place, line in enumerate(series):
        top = 4 + place * row + row * 0.08
        parts.append(text(names - 8, top + row * 0.42 + 4, line.legend, anchor="end"))
        for start, end, value in _runs(line, view.step):
            shown = show(value, config)
            x, wide = names + (start - view.start) * scale, max(1.0, (end - start) * scale)
            parts.append(rect(x, top, wide, row * 0.84, shown.colour))
            if wide > len(shown.text) * 7.5:
                parts.append(text(x + 6, top + row * 0.42 + 4, shown.text, fill=ink(shown.colour)))
    gap = next(step for step in (5, 10, 15, 30, 60, 120, 300, 600) if (view.end - view.start) / step <= width / 75)
    at = math.ceil(view.start / gap) * gap
    while at < view.end - gap / 3:
        x = names + (at - view.start) * scale
        parts.append(text(x, height - 4, time.strftime("%H:%M:%S", time.gmtime(at)), anchor="middle"))
        at += gap
    return f'<svg width="{width:.0f}" height="{height:.0f}">{"".join(parts)}</svg>'


def _runs(line: Series, step: float) -> list[tuple[float, float, float]]:
    runs: list[tuple[float, float, float]] = []
    for at, value in line.points:
        if runs and runs[-1][2] == value and at - runs[-1][1] <= step * 1.5:
            runs[-1] = (runs[-1][0], at, value)
        else:
            if runs and at - runs[-1][1] <= step * 1.5:
                runs[-1] = (runs[-1][0], at, runs[-1][2])
            runs.append((at, at + step, value))
    return runs


def heat(panel: Json, series: Sequence[Series], view: View, size: tuple[float, float]) -> str:
    width, height = size
    config = panel["fieldConfig"]["defaults"]
    bounds = sorted(series, key=lambda line: float(line.labels["le"].replace("+Inf", "inf")))
    below: dict[float, float] = {}
    cells: list[tuple[int, float, float]] = []
    for place, line in enumerate(bounds):
        for at, total in line.points:
            if total - below.get(at, 0.0) > 1e-6:
                cells.append((place, at, total - below.get(at, 0.0)))
            below[at] = total
    if not cells:
        return f'<div class="none">{config["noValue"]}</div>'
    most = max(count for _, _, count in cells)
    first, last = min(place for place, _, _ in cells) - 1, max(place for place, _, _ in cells) + 1
    first, last = max(0, first), min(len(bounds) - 1, last)
    row = (height - BOTTOM - 4) / (last - first + 1)
    scale = (width - LEFT - 8) / (view.end - view.start)
    parts = [_axis(view, width, height)]
    for place, at, count in cells:
        y = height - BOTTOM - (place - first + 1) * row
        x, share = LEFT + (at - view.start) * scale, (count / most) ** 0.5
        shade = f"hsl({34 - 22 * share:.0f} 95% {18 + 48 * share:.0f}%)"
        wide = view.step * scale - 0.5
        parts.append(rect(x, y, wide, row - 1, shade))
    every = max(1, round((last - first + 1) / 8))
    for place in range(first, last + 1, every):
        le = bounds[place].labels["le"]
        bound = "∞" if le == "+Inf" else number(float(le), {"unit": "s"})
        y = height - BOTTOM - (place - first + 1) * row
        parts.append(text(LEFT - 6, y + 5, bound, anchor="end"))
    return f'<svg width="{width:.0f}" height="{height:.0f}">{"".join(parts)}</svg>'
