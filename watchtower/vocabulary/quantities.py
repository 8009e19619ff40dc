"""Numbers with units, as people write and read them: ``130ms``, ``15pp``, ``2%``, ``0.92``, ``10/s``.

The one place that turns text into base units (seconds, ratios) and base units into text. Inside Watchtower a quantity
is always a float in base units; only what a person wrote or will read has a suffix.
"""

from __future__ import annotations

import math
import re

import msgspec

from watchtower.vocabulary.readings import Unit


class Quantity(msgspec.Struct, frozen=True):
    """One written quantity. ``unit`` is None for a bare number, which fits every unit but seconds."""

    value: float
    """In base units: ``130ms`` is 0.13, ``15pp`` is 0.15."""
    unit: Unit | None = None
    suffix: str = ""
    """As written, so that people read the answer in the unit they asked in."""


# suffix → (unit, multiplier, divisor). Dividing keeps 412ms at exactly 0.412.
_SUFFIXES: dict[str, tuple[Unit, float, float]] = {
    "us": (Unit.SECONDS, 1, 1e6),
    "µs": (Unit.SECONDS, 1, 1e6),
    "ms": (Unit.SECONDS, 1, 1e3),
    "s": (Unit.SECONDS, 1, 1),
    "m": (Unit.SECONDS, 60, 1),
    "min": (Unit.SECONDS, 60, 1),
    "h": (Unit.SECONDS, 3600, 1),
    "%": (Unit.RATIO, 1, 100),
    "pp": (Unit.RATIO, 1, 100),
    "/s": (Unit.PER_SECOND, 1, 1),
    "nats": (Unit.NATS, 1, 1),
    "B/s": (Unit.BYTES_PER_SECOND, 1, 1),
    "kB/s": (Unit.BYTES_PER_SECOND, 1e3, 1),
    "MB/s": (Unit.BYTES_PER_SECOND, 1e6, 1),
}
SUFFIXES = tuple(_SUFFIXES)
NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_QUANTITY = re.compile(rf"\s*({NUMBER})\s*([A-Za-zµ%/]*)\s*", re.ASCII)

EXAMPLES: dict[Unit, str] = {
    Unit.SECONDS: "130ms, 2s or 5m",
    Unit.RATIO: "15pp, 2% or 0.02",
    Unit.COUNT: "8",
    Unit.PER_SECOND: "10/s",
    Unit.BYTES_PER_SECOND: "20kB/s",
    Unit.COSINE: "0.92",
    Unit.NATS: "0.1nats",
}
"""What a person may write for each unit."""


def quantity(text: str) -> Quantity:
    """Read one quantity. Raises ValueError, in words for people, when it is none or not finite."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError("no quantity: write a number and its unit, e.g. 130ms, 15pp, 0.92")
    number, suffix = float(match[1]), match[2]
    if not suffix:
        unit, value = None, number
    elif suffix in _SUFFIXES:
        unit, multiplier, divisor = _SUFFIXES[suffix]
        value = number * multiplier / divisor
    else:
        raise ValueError(f"unknown unit '{suffix[:12]}': known are {', '.join(SUFFIXES)}")
    if not math.isfinite(value):
        raise ValueError("the number is too large: write a limit that can be reached")
    return Quantity(value, unit, suffix)


def misfit(written: Quantity, unit: Unit) -> str:
    """Why ``written`` cannot be compared with a reading in ``unit``; "" when it can."""
    if written.unit is not unit and not (written.unit is None and (unit is not Unit.SECONDS or written.value == 0)):
        has = "has no unit" if written.unit is None else f"is {_IN_WORDS[written.unit]}"
        return f"the limit {has}, the reading is {_IN_WORDS[unit]}"
    if unit is Unit.COSINE:
        return "" if -1 <= written.value <= 1 else "a cosine lies between -1 and 1"
    if written.value < 0:
        return "this reading is never negative"
    if unit is Unit.RATIO and written.value > 1:
        return f"a ratio of {short(written.value)} is {short(written.value * 100)} %, which no reading reaches"
    return ""


_IN_WORDS = {
    Unit.SECONDS: "a time",
    Unit.RATIO: "a ratio",
    Unit.COUNT: "a count",
    Unit.PER_SECOND: "a rate per second",
    Unit.BYTES_PER_SECOND: "bytes per second",
    Unit.COSINE: "a cosine",
    Unit.NATS: "nats per token",
}


def duration(text: str) -> float:
    """``500ms``, ``60s``, ``5m``, ``2h`` (or a bare ``0``) in seconds. Raises ValueError with the cure."""
    try:
        written = quantity(text)
    except ValueError as problem:
        raise ValueError("no duration: write e.g. 500ms, 60s, 5m or 2h") from problem
    if written.unit is None and written.value != 0:
        raise ValueError(f"{text.strip()[:20]} has no unit: write {text.strip()[:20]}s")
    if written.unit not in (None, Unit.SECONDS):
        raise ValueError("no duration: write e.g. 500ms, 60s, 5m or 2h")
    if written.value < 0:
        raise ValueError("a duration is never negative")
    return written.value


def short(number: float, digits: int = 3) -> str:
    """``number`` to ``digits`` significant digits, no exponent, no trailing zeros; integers keep all their digits."""
    if not math.isfinite(number):
        return "unknown"
    if number == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(number))))
    text = f"{number:.{min(decimals, 12)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def seconds(value: float, digits: int = 3) -> str:
    """``412 ms``, ``1.3 s``, ``121 s``, ``5 min``, ``4 h``."""
    size = abs(value)
    if 120 <= size < 600 and value % 60:
        return f"{short(value, digits)} s"
    for least, factor, name in ((7200, 1 / 3600, "h"), (120, 1 / 60, "min"), (1, 1, "s"), (1e-3, 1e3, "ms")):
        if size >= least:
            return f"{short(value * factor, digits)} {name}"
    return "0 s" if value == 0 else f"{short(value * 1e6, digits)} µs"


def human(value: float, unit: Unit, suffix: str = "", *, beside: float | None = None) -> str:
    """``value`` for people, in the manner of ``suffix`` where the unit leaves a choice.

    ``beside`` is the number it will be read next to: digits are added until the two read differently, so that nobody
    is told "130 ms over 130 ms".
    """
    for digits in (3, 4, 5, 6):
        text = _human(value, unit, suffix, digits)
        if beside is None or beside == value or text != _human(beside, unit, suffix, digits):
            break
    return text


def _human(value: float, unit: Unit, suffix: str, digits: int) -> str:
    if unit is Unit.SECONDS:
        return seconds(value, digits)
    if unit is Unit.RATIO and suffix in ("pp", "%"):
        return f"{short(value * 100, digits)} {suffix}"
    if unit is Unit.BYTES_PER_SECOND:
        factor, name = next((f, n) for f, n in ((1e6, "MB/s"), (1e3, "kB/s"), (1, "B/s")) if abs(value) >= f or f == 1)
        return f"{short(value / factor, digits)} {name}"
    return short(value, digits) + {Unit.PER_SECOND: "/s", Unit.NATS: " nats"}.get(unit, "")
