"""How far have live answers moved, for the prompts that both times have in common, and where most? Pure; a diagnosis.

Users ask other things today than yesterday, so answers are compared only among like prompts. What the prompt alone
says of an answer is removed (a ridge regression over both times together), prompts are grouped by their vectors (both
times together too), and inside a group *then* and *now* are labels that could be swapped if the model were the same.
All groups share their swaps, so one p-value covers them. A change with a common direction (shorter, another tone)
shows best; one that points another way for every prompt does not: canaries, which are paired, see that.

It never triggers anything: looked at again and again, one of its p-values will be small one day.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

GROUP_SIZE = 25
"""Prompts of a group, about, both times together."""
MOST_GROUPS = 24
FEWEST_OF_GROUP = 3
"""Of each time; a smaller group is left out, and told as unmatched."""
RIDGE = 0.02
"""Per sample: only what many prompts have in common is removed, never what is one prompt's own."""
SWAPS = 999
ROUNDS = 12
"""Of the grouping; it has settled long before."""
NAMED = 3
"""Prompts that are named of each group."""


class Answers(msgspec.Struct, frozen=True):
    """Samples of one time, a row each."""

    ids: Sequence[str]
    """Hashes of the prompts, or ids of references."""
    prompts: Array
    """Unit vectors."""
    blocks: dict[str, Array]
    """By measure (``meaning``, ``form``): vectors of the answers."""


class PromptGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Like prompts."""

    prompts: list[str]
    """Those of now whose answers moved farthest, by hash or reference id."""
    then: int
    now: int
    moved: float
    """Common move of the group's answers, as a share of the usual distance of two answers of then."""
    p: float


class OutputShift(msgspec.Struct, frozen=True, kw_only=True):
    """Where live answers stand beside those of then."""

    moved: dict[str, float]
    """By measure: the common move, as a share of the usual distance of two answers of then."""
    p: float
    """Share of random swaps that move at least as far, of the clearest measure, all counted."""
    matched: float
    """Share of today's samples whose prompts were asked then too, by likeness."""
    then: int
    now: int
    groups: list[PromptGroup]
    """What moved most first."""


def shift(then: Answers, now: Answers, chance: np.random.Generator, *, swaps: int = SWAPS) -> OutputShift | None:
    """None when no group has enough samples of both times."""
    prompts = np.concatenate([then.prompts, now.prompts]).astype(np.float64)
    new = np.repeat([False, True], [len(then.ids), len(now.ids)])
    groups = _usable(_grouped(prompts), new)
    if not groups:
        return None
    kept = np.concatenate(groups)
    matched = float(new[kept].sum() / new.sum())
    weights = [new[rows].sum() / new[kept].sum() for rows in groups]
    labels = [_swapped(new[rows], chance, swaps) for rows in groups]
    statistics, moved = [], {}
    by_group = [np.zeros(swaps + 1) for _ in groups]
    farthest: list[NDArray[np.float64]] = [np.zeros(0)] * len(groups)
    for number, (name, block) in enumerate({name: _both(then, now, name) for name in then.blocks}.items()):
        rest = _beyond_the_prompt(prompts, block)
        usual = _usual(rest, groups, new)
        total = np.zeros((swaps + 1, rest.shape[1]))
        for index, rows in enumerate(groups):
            differences = labels[index] @ rest[rows]
            total += weights[index] * differences
            by_group[index] += (differences**2).sum(axis=1) / usual
            if number == 0:
                farthest[index] = rest[rows] @ differences[0]
        squares = (total**2).sum(axis=1)
        statistics.append(squares)
        moved[name] = _share(squares, usual)
    found = [
        PromptGroup(
            prompts=_named([*then.ids, *now.ids], rows, new, farthest[index]),
            then=int((~new[rows]).sum()),
            now=int(new[rows].sum()),
            moved=_share(by_group[index], float(len(then.blocks))),
            p=float(_p_values(by_group[index])[0]),
        )
        for index, rows in enumerate(groups)
    ]
    least = np.column_stack([_p_values(statistic) for statistic in statistics]).min(axis=1)
    return OutputShift(
        moved=moved,
        p=float((least <= least[0] + 1e-12).mean()),
        matched=matched,
        then=len(then.ids),
        now=len(now.ids),
        groups=sorted(found, key=lambda group: (-group.moved, group.p)),
    )


def _both(then: Answers, now: Answers, name: str) -> NDArray[np.float64]:
    return np.concatenate([then.blocks[name], now.blocks[name]]).astype(np.float64)


def _grouped(prompts: NDArray[np.float64]) -> NDArray[np.int64]:
    """The number of each prompt's group: spherical k-means, begun at prompts far from each other. Deterministic."""
    count = max(1, min(MOST_GROUPS, len(prompts) // GROUP_SIZE))
    centres = [prompts[int(np.argmax(prompts @ prompts.mean(axis=0)))]]
    nearest = prompts @ centres[0]
    while len(centres) < count:
        centres.append(prompts[int(np.argmin(nearest))])
        nearest = np.maximum(nearest, prompts @ centres[-1])
    middles = np.array(centres)
    found: NDArray[np.int64] = np.argmax(prompts @ middles.T, axis=1)
    for _ in range(ROUNDS):
        for number in range(count):
            rows = prompts[found == number]
            if len(rows):
                middle = rows.mean(axis=0)
                middles[number] = middle / max(float(np.linalg.norm(middle)), 1e-9)
        again = np.argmax(prompts @ middles.T, axis=1)
        if np.array_equal(again, found):
            break
        found = again
    return found


def _usable(numbers: NDArray[np.int64], new: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Rows of each group that has enough of both times."""
    groups = [np.flatnonzero(numbers == number) for number in range(int(numbers.max()) + 1)]
    return [rows for rows in groups if min(new[rows].sum(), (~new[rows]).sum()) >= FEWEST_OF_GROUP]


def _beyond_the_prompt(prompts: NDArray[np.float64], block: NDArray[np.float64]) -> NDArray[np.float64]:
    """What is left of the answers when what their prompts predict is taken away."""
    centred, answers = prompts - prompts.mean(axis=0), block - block.mean(axis=0)
    gram = centred.T @ centred + RIDGE * len(prompts) * np.eye(prompts.shape[1])
    rest: NDArray[np.float64] = answers - centred @ np.linalg.solve(gram, centred.T @ answers)
    return rest


def _usual(rest: NDArray[np.float64], groups: Sequence[NDArray[np.int64]], new: NDArray[np.bool_]) -> float:
    """Mean squared distance of two answers of then in one group."""
    spread = count = 0.0
    for rows in groups:
        old = rest[rows[~new[rows]]]
        spread += 2 * float(((old - old.mean(axis=0)) ** 2).sum()) * len(old) / (len(old) - 1)
        count += len(old)
    return max(spread / count, 1e-12)


def _swapped(new: NDArray[np.bool_], chance: np.random.Generator, swaps: int) -> NDArray[np.float64]:
    """A row for each labelling, the true one first: times the answers it gives the mean of now less that of then."""
    weights = np.where(new, 1 / new.sum(), -1 / (~new).sum())
    rows = np.tile(weights, (swaps + 1, 1))
    rows[1:] = chance.permuted(rows[1:], axis=1)
    return rows


def _share(squares: NDArray[np.float64], usual: float) -> float:
    """The first square beyond what swaps reach by chance, as a length."""
    return float(np.sqrt(max(0.0, squares[0] - squares[1:].mean()) / usual))


def _p_values(statistic: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each labelling the share of all (itself too) that are at least as extreme."""
    below = np.searchsorted(np.sort(statistic), statistic * (1 - 1e-9), side="left")
    shares: NDArray[np.float64] = 1.0 - below / len(statistic)
    return shares


def _named(
    ids: Sequence[str], rows: NDArray[np.int64], new: NDArray[np.bool_], along: NDArray[np.float64]
) -> list[str]:
    order = [rows[place] for place in np.argsort(-along) if new[rows[place]]]
    return list(dict.fromkeys(ids[row] for row in order))[:NAMED]
