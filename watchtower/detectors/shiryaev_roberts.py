"""Has the mean of a stream risen? An anytime-valid answer with a stated false-alarm rate, however dependent the stream.

The mixture Shiryaev–Roberts e-detector (Shin, Ramdas, Rinaldo, arXiv 2203.03532): for each of a few bets λ,
``M ← (M + 1)(1 + λ (x − null))``; alarm when the mean of the M reaches N. While the conditional mean of every x is at
most its ``null``, the mean of the M less the number of observations is a supermartingale, so the average run length to
a false alarm is at least N observations: no distribution, no independence, no window, no matter how often one looks.

x is anything from 0 up (a distance, a share, a miss); nothing else needs to be known about it. ``null`` may differ from
one observation to the next (each reference has its own), as long as it is known before. Bets are fractions of 1/null,
so that no observation can make a factor negative. A null that was *estimated* has to be its upper confidence bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

FRACTIONS = tuple(float(fraction) for fraction in np.geomspace(0.2, 0.95, 4))
"""Bets as fractions of the largest allowed one; geometric, so that small and large rises are both found."""
LEAST_NULL = 0.01
"""Below this a null is bet on as if it were this: a reference that never varied must not alarm at its first comma."""


class ShiryaevRoberts(msgspec.Struct):
    """The evidence that the mean is above its null now. A plain value: it can be stored, and goes on where it was."""

    run_length: float
    """N: at least so many observations lie between two false alarms on average."""
    wealth: list[float] = msgspec.field(default_factory=lambda: [0.0] * len(FRACTIONS))
    observed: int = 0

    def observe(self, value: float, null: float, typical: float = 0.0) -> bool:
        """One more observation; whether the alarm is up. ``typical``: where nulls differ and each is a little wrong,
        their mean: no bet is larger than it allows, and most of these errors cancel.

        Raises ValueError for a negative or non-finite number."""
        if not (math.isfinite(value) and math.isfinite(null)) or value < 0 or null < 0:
            raise ValueError("an observation and its null are finite and not negative")
        scale = 1.0 / max(null, typical, LEAST_NULL)
        self.wealth = [
            min((wealth + 1.0) * (1.0 + fraction * scale * (value - null)), 1e300)
            for wealth, fraction in zip(self.wealth, FRACTIONS, strict=True)
        ]
        self.observed += 1
        return self.alarm

    @property
    def evidence(self) -> float:
        """Mean of the M; it hovers around 1 to some hundreds while nothing is wrong and grows without bound after."""
        return sum(self.wealth) / len(self.wealth)

    @property
    def alarm(self) -> bool:
        return self.evidence >= self.run_length

    def reset(self) -> None:
        """After a cure, or with a new baseline."""
        self.wealth = [0.0] * len(FRACTIONS)


def first_alarms(streams: NDArray[np.float64], null: float, run_length: float) -> NDArray[np.int64]:
    """The same detector over many streams at once (a row each): index + 1 of the first alarm, 0 where there is none."""
    fractions = np.array(FRACTIONS) / max(null, LEAST_NULL)
    wealth = np.zeros((len(streams), len(fractions)))
    first = np.zeros(len(streams), dtype=np.int64)
    for index in range(streams.shape[1]):
        wealth = np.minimum((wealth + 1.0) * (1.0 + fractions * (streams[:, index, None] - null)), 1e300)
        first[(first == 0) & (wealth.mean(axis=1) >= run_length)] = index + 1
        if first.all():
            break
    return first


def upper_mean(values: Sequence[float], deviations: float = 1.645) -> float:
    """Upper 95 % confidence bound of a mean, to stand in for a null. Raises ValueError with fewer than two values."""
    if len(values) < 2:
        raise ValueError("a bound needs two values")
    found = np.asarray(values, dtype=np.float64)
    return float(found.mean() + deviations * found.std(ddof=1) / math.sqrt(len(found)))
