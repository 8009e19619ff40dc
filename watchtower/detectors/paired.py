"""Do two sets of answers to the same prompts differ? An exact test, with the size of the difference. Pure.

If both answers to a prompt were drawn from the same model, swapping them changes nothing: every difference may have its
sign flipped. The observed statistics are compared with those under many random flips, which is exact for any number
of prompts, any length of answer and any dependence between measures; all measures share the flips, so their clearest
has one p-value and nothing is paid twice (Westfall and Young's min-p: each measure on the scale of its own flips).
Pairing is what gives power: unpaired tests on the same answers miss most of it.

What it cannot see: differences that point another way for every prompt. With one answer a side these look like
sampling; a second run of the baseline shows them (then ``distance`` is a measure too).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
CHUNK = 256
"""Flips computed together: memory stays small for ten thousands of prompts."""


class PairedMeasure(msgspec.Struct, frozen=True, kw_only=True):
    """One measure of the difference, over all prompts."""

    name: str
    effect: float
    low: float
    high: float
    """95 % band of the effect, by bootstrap over prompts."""
    p: float
    """Of this measure alone, two-sided."""


class Difference(msgspec.Struct, frozen=True):
    """All measures, and the one p-value of their clearest."""

    measures: list[PairedMeasure]
    p: float


def compare(
    differences: Mapping[str, Array], chance: np.random.Generator, *, flips: int = 4000, resamples: int = 400
) -> Difference:
    """``differences``: for each measure a row (or a number) per prompt, baseline less candidate.

    The effect of a number is its mean. The effect of a row is how far the two sides have moved apart as a whole, as a
    share of the usual distance of two paired answers: 0 for two runs of one model, 1 where all pairs differ by the
    same vector. Raises ValueError with fewer than two prompts or without measures."""
    rows = {name: _rows(values) for name, values in differences.items()}
    counts = {len(values) for values in rows.values()}
    if len(counts) != 1 or min(counts) < 2:
        raise ValueError("every measure needs a row for each of at least two prompts")
    count = counts.pop()
    statistics = _flipped(rows, _first_and_random(chance, count, flips))
    p_values = np.column_stack([_p_values(column) for column in statistics.T])
    least = p_values.min(axis=1)
    weights = chance.multinomial(count, [1 / count] * count, size=resamples).astype(np.float32)
    measures = [
        _measured(name, values, weights, float(p)) for (name, values), p in zip(rows.items(), p_values[0], strict=True)
    ]
    return Difference(measures, float((least <= least[0] + 1e-12).mean()))


def _rows(values: Array) -> Array:
    return np.asarray(values, dtype=np.float32).reshape(len(values), -1)


def _first_and_random(chance: np.random.Generator, count: int, flips: int) -> NDArray[np.int8]:
    """The data as they are, then random flips: the observed one is among its peers, so p is never 0."""
    signs = (chance.integers(0, 2, size=(flips + 1, count), dtype=np.int8) * 2 - 1).astype(np.int8)
    signs[0] = 1
    return signs


def _flipped(rows: Mapping[str, Array], signs: NDArray[np.int8]) -> NDArray[np.float64]:
    """The squared length of the summed differences, under each flip (row) for each measure (column)."""
    found = np.empty((len(signs), len(rows)))
    for first in range(0, len(signs), CHUNK):
        flips = signs[first : first + CHUNK].astype(np.float32)
        for column, values in enumerate(rows.values()):
            found[first : first + CHUNK, column] = ((flips @ values).astype(np.float64) ** 2).sum(axis=1)
    return found


def _p_values(statistic: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each flip the share of all flips (itself too) that are at least as extreme."""
    rounded = np.sort(statistic)
    below = np.searchsorted(rounded, statistic * (1 - 1e-6), side="left")  # float32 sums differ in their last digits
    shares: NDArray[np.float64] = 1.0 - below / len(statistic)
    return shares


def _measured(name: str, values: Array, weights: Array, p: float) -> PairedMeasure:
    once = np.ones((1, len(values)), dtype=np.float32)
    found = _apart if values.shape[1] > 1 else _mean
    effect, sampled = float(found(values, once)[0]), found(values, weights)
    low, high = np.percentile(sampled, [2.5, 97.5])
    return PairedMeasure(name=name, effect=effect, low=float(low), high=float(high), p=p)


def _mean(values: Array, weights: Array) -> NDArray[np.float64]:
    means: NDArray[np.float64] = (weights @ values[:, 0]).astype(np.float64) / weights.sum(axis=1)
    return means


def _apart(values: Array, weights: Array) -> NDArray[np.float64]:
    """Square root of the unbiased share of the mean squared difference that is common to all prompts; at least 0."""
    squares = (values.astype(np.float64) ** 2).sum(axis=1)
    total = weights.sum(axis=1).astype(np.float64)
    summed = ((weights @ values).astype(np.float64) ** 2).sum(axis=1)
    # a prompt drawn twice meets itself, which the unbiased estimate leaves out
    common = (summed - (weights.astype(np.float64) ** 2) @ squares) / (total**2 - (weights**2).sum(axis=1))
    usual = np.maximum(weights @ squares / total, 1e-12)
    shares: NDArray[np.float64] = np.sqrt(np.clip(common / usual, 0.0, 1.0))
    return shares
