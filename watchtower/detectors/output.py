"""Has what the engine says changed? Canary answers beside their own references, as streams for the e-detector.

Each reference has its own normal, learned at blessing time, so each answer is judged against the normal of its own
reference and all of them share one stream: twenty references asked once tell as much as one asked twenty times.
The observation is a *distance* (1 − cosine, or 1 − prefix agreement); only a growing distance is evidence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from watchtower.detectors.shiryaev_roberts import ShiryaevRoberts

AGREEMENT_TOLERANCE = 0.02
"""Prefix agreement may fall by so much: another GPU type alone costs 4 points, and is no other checkpoint."""
RUN_LENGTH = 216_000.0
"""Canaries between two false alarms: thirty days at one every twelve seconds."""
CONFIDENCE_DEVIATIONS = 2.33
"""One-sided 99 %: how far above its estimate the shared part of every null is set."""


class OutputChange:
    """One signal (similarity or prefix agreement) of one target."""

    def __init__(
        self, healthy: Mapping[str, Sequence[float]], *, tolerance: float = 0.0, run_length: float = RUN_LENGTH
    ) -> None:
        """``healthy``: each reference's scores at blessing time (1 = like a blessed answer), two or more of each.
        ``tolerance``: a fall of the mean by so much is nothing new (``AGREEMENT_TOLERANCE`` for prefix agreement).

        Raises ValueError without any, or with a single score."""
        if not healthy or any(len(scores) < 2 for scores in healthy.values()):
            raise ValueError("each reference needs two scores from while the engine was healthy")
        self._nulls = {reference: null + tolerance for reference, null in nulls(healthy).items()}
        self._typical = sum(self._nulls.values()) / len(self._nulls)
        self.detector = ShiryaevRoberts(run_length)

    def observe(self, reference: str, score: float) -> bool:
        """One canary's score (its cosine or its agreement); whether the alarm is up.

        Raises KeyError for a reference that was not calibrated."""
        return self.detector.observe(max(0.0, 1.0 - score), self._nulls[reference], self._typical)


def nulls(healthy: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Each reference's distance while healthy, raised by the uncertainty of what they share.

    A single reference's mean of three is uncertain by much, yet over a round these errors cancel: what does not cancel
    is the error of the mean over all references, and that is what the margin covers."""
    distances = {reference: [max(0.0, 1.0 - score) for score in scores] for reference, scores in healthy.items()}
    means = {reference: sum(values) / len(values) for reference, values in distances.items()}
    count = sum(len(values) for values in distances.values())
    squares = sum((value - means[reference]) ** 2 for reference, values in distances.items() for value in values)
    within = math.sqrt(squares / (count - len(distances)))
    margin = CONFIDENCE_DEVIATIONS * within / math.sqrt(count)
    return {reference: mean + margin for reference, mean in means.items()}
