"""How Grafana writes a value: unit, value mappings, thresholds, named colours of the dark theme."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

Json = dict[str, Any]

COLOURS = {
    "text": "#ccccdc",
    "green": "#73bf69",
    "light-green": "#96d98d",
    "semi-dark-green": "#56a64b",
    "dark-green": "#37872d",
    "yellow": "#fade2a",
    "semi-dark-yellow": "#f2cc0c",
    "orange": "#ff9830",
    "semi-dark-orange": "#ff780a",
    "dark-orange": "#fa6400",
    "red": "#f2495c",
    "semi-dark-red": "#e02f44",
    "dark-red": "#c4162a",
    "blue": "#5794f2",
    "light-blue": "#8ab8ff",
    "super-light-blue": "#c0d8ff",
    "semi-dark-blue": "#3274d9",
    "dark-blue": "#1f60c4",
    "purple": "#b877d9",
    "semi-dark-purple": "#a352cc",
    "dark-purple": "#8f3bb8",
}
CLASSIC = ("#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9", "#705da0", "#37872d", "#fade2a")


class Shown(NamedTuple):
    text: str
    colour: str


def colour(name: str) -> str:
    """Raises KeyError for a colour that the theme does not have."""
    return name if name.startswith("#") else COLOURS[name]


def ink(background: str) -> str:
    """Black or white, whichever can be read on it."""
    red, green, blue = (int(background[place : place + 2], 16) for place in (1, 3, 5))
    return "#111217" if 0.299 * red + 0.587 * green + 0.114 * blue > 150 else "#ffffff"


def show(value: float | None, config: Json) -> Shown:
    """What stands in a tile or a cell: the mapping's word, else the number in its unit."""
    mapped = _mapped(value, config.get("mappings", ()))
    steps = (config.get("thresholds") or {}).get("steps") or [{"value": None, "color": "text"}]
    shade = steps[0]["color"]
    for step in steps[1:]:
        if value is not None and value >= step["value"]:
            shade = step["color"]
    text = config.get("noValue", "No data") if value is None else number(value, config)
    return Shown(str(mapped.get("text", text)), colour(mapped.get("color", shade)))


def _mapped(value: float | str | None, mappings: Sequence[Json]) -> Json:
    for mapping in mappings:
        options = mapping["options"]
        key = f"{value:g}" if isinstance(value, float) else str(value)
        if mapping["type"] == "value" and key in options:
            return dict(options[key])
        if mapping["type"] == "special" and value is None:
            return dict(options["result"])
    return {}


def show_text(text: str, config: Json) -> Shown:
    mapped = _mapped(text, config.get("mappings", ()))
    return Shown(str(mapped.get("text", text)), colour(mapped.get("color", "text")))


def number(value: float, config: Json) -> str:
    unit, decimals = config.get("unit", "none"), config.get("decimals")
    if unit.startswith("suffix:"):
        return f"{_plain(value, decimals)}{unit.removeprefix('suffix:')}"
    match unit:
        case "s":
            return _seconds(value, decimals)
        case "percentunit":
            return f"{_plain(value * 100, 1 if decimals is None else decimals)}%"
        case "short":
            return _scaled(value, ("", " K", " Mil"), decimals)
        case "hertz":
            return _scaled(value, (" Hz", " kHz", " MHz", " GHz"), decimals)
        case "Bps":
            return _scaled(value, (" B/s", " kB/s", " MB/s"), decimals)
        case _:
            suffix = {"celsius": " °C", "watt": " W", "reqps": " req/s", "none": ""}[unit]
            return _plain(value, decimals) + suffix


def _plain(value: float, decimals: int | None) -> str:
    if decimals is not None:
        return f"{value:.{decimals}f}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _scaled(value: float, names: Sequence[str], decimals: int | None) -> str:
    place = 0
    while abs(value) >= 1000 and place < len(names) - 1:
        value, place = value / 1000, place + 1
    return _plain(value, decimals) + names[place]


def _seconds(value: float, decimals: int | None) -> str:
    for least, factor, name in ((3600, 1 / 3600, " hours"), (60, 1 / 60, " mins"), (1, 1, " s"), (1e-3, 1e3, " ms")):
        if abs(value) >= least:
            return _plain(value * factor, decimals) + name
    return "0 s" if value == 0 else f"{_plain(value * 1e6, decimals)} µs"
