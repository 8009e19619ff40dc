"""Few points that stand for many: each next one is the farthest from those chosen so far. Pure.

Greedy farthest-point choice leaves no point more than twice as far from a chosen one as the best choice of that many
would (Gonzalez, Theoretical Computer Science 38, 1985). It likes the unusual, which is what canaries are for.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def spread(vectors: NDArray[np.float32], count: int) -> list[int]:
    """Rows of ``vectors`` (unit length), at most ``count``, the most central one first; equals are chosen once."""
    if not len(vectors):
        return []
    points = vectors.astype(np.float64)
    chosen = [int(np.argmax(points @ points.mean(axis=0)))]
    nearest = points @ points[chosen[0]]
    while len(chosen) < min(count, len(points)):
        farthest = int(np.argmin(nearest))
        if nearest[farthest] > 1 - 1e-6:
            break
        chosen.append(farthest)
        nearest = np.maximum(nearest, points @ points[farthest])
    return chosen
