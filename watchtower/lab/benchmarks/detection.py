"""What the output detectors reach, from fixed seeds: delays, false alarms, and real outputs with the real encoder.

The worlds. *Similarity*: cosines around 0.97 of which 15 % lie below 0.92 (normal, sd 0.048; a cosine beyond 1 counts
as 1, and the null is that clipped world's), and beside it the same means from a beta distribution, which knows no
clipping. *Agreement*: the first 16 words of a greedy answer repeat with probability 0.67. *Drift*: published outputs
of chat models; prompts 0–399 of one model served twice give the scales, 400–804 are the stream.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from watchtower.detectors.output import AGREEMENT_TOLERANCE, RUN_LENGTH
from watchtower.detectors.output_drift import OutputDrift, scale_of
from watchtower.detectors.shiryaev_roberts import first_alarms
from watchtower.lab.benchmarks.budgets import Budget
from watchtower.scoring.measures.wording import formed, worded

STREAMS = 2000
SD = 0.048
BETA_CONCENTRATION = 15.0
CALIBRATION_PROMPTS = 400
SAME = ("vicuna-13b-v1.5", "vicuna-13b-v1.5-togetherai")
CHANGED = ("gpt-3.5-turbo-0301", "gpt-3.5-turbo-0613")
SHUFFLES = 20

Embed = Callable[[Sequence[str]], Awaitable[NDArray[np.float32]]]
Blocks = tuple[NDArray[np.float32], ...]


class Goals(msgspec.Struct, frozen=True):
    budgets: list[Budget]
    notes: list[str]
    """Figures beside the goals, for comparison."""


def run_lengths(seed: int = 1) -> Goals:
    """Nominal against measured average run length, on streams at the edge of the null."""
    chance, budgets = np.random.default_rng(seed), []
    for nominal, streams in ((100, 2000), (1000, 300)):
        silent = chance.random((streams, 12 * nominal)) < 0.33
        first = first_alarms(silent.astype(np.float64), 0.33, nominal).astype(np.float64)
        first[first == 0] = 12 * nominal
        ratio = float(first.mean()) / nominal
        what = f"average run length to a false alarm, nominal {nominal}"
        budgets.append(Budget(what=what, limit=1.0, measured=ratio, unit="× nominal", at_least=True))
    return Goals(budgets, [])


def similarity(seed: int = 5, streams: int = STREAMS) -> Goals:
    """Goal 5."""
    chance = np.random.default_rng(seed)
    null = _clipped_mean(0.03, SD)
    budgets, notes = [], []
    for mean, limits in ((0.92, (28, 50)), (0.95, (130, None))):
        count = 1200 if mean > 0.94 else 300
        distances = np.maximum(0.0, 1 - chance.normal(mean, SD, (streams, count)))
        median, p95 = _delays(first_alarms(distances, null, RUN_LENGTH))
        budgets.append(_canaries(f"similarity 0.97 → {mean}: median delay", limits[0], median))
        if limits[1] is not None:
            budgets.append(_canaries(f"similarity 0.97 → {mean}: 95 of 100 within", limits[1], p95))
        beta = 1 - chance.beta(mean * BETA_CONCENTRATION, (1 - mean) * BETA_CONCENTRATION, (streams, count))
        median, p95 = _delays(first_alarms(beta, 0.03, RUN_LENGTH))
        notes.append(f"similarity 0.97 → {mean} in a beta world: median {median:.0f}, 95 of 100 within {p95:.0f}")
    return Goals(budgets, notes)


def agreement(seed: int = 6) -> Goals:
    """Goal 6."""
    chance, null = np.random.default_rng(seed), 1 - 0.67 + AGREEMENT_TOLERANCE
    changed = (chance.random((STREAMS, 200)) > 0.12).astype(np.float64)
    median, p95 = _delays(first_alarms(changed, null, RUN_LENGTH))
    elsewhere = (chance.random((STREAMS, 1000)) > 0.63).astype(np.float64)
    alarmed = 100 * float((first_alarms(elsewhere, null, RUN_LENGTH) > 0).mean())
    budgets = [
        _canaries("agreement 0.67 → 0.12 (another checkpoint): median delay", 20, median),
        Budget(
            what="agreement 0.67 → 0.63 (other hardware): alarms in 1,000 canaries",
            limit=5,
            measured=alarmed,
            unit="% of streams",
        ),
    ]
    return Goals(budgets, [f"agreement 0.67 → 0.12: 95 of 100 within {p95:.0f} canaries"])


async def drift(folder: Path, embed: Embed) -> Goals:
    """Goal 8. Raises OSError where the recordings are not there."""
    texts = {name: _outputs(folder / f"{name}.jsonl.gz") for name in (*SAME, *CHANGED)}
    learned = [await _blocks(texts[name][:CALIBRATION_PROMPTS], embed) for name in SAME]
    scales = [scale_of(then, now) for then, now in zip(*learned, strict=True)]
    # only what is streamed is embedded of the rest: embedding is what takes the time here
    stream = {name: await _blocks(texts[name][CALIBRATION_PROMPTS:], embed) for name in (*SAME, *CHANGED)}
    count = len(stream[SAME[0]][0])
    same = _drift_alarm(stream, SAME, scales, range(count))
    changed = _drift_alarm(stream, CHANGED, scales, range(count))
    chance = np.random.default_rng(8)
    shuffled = [_drift_alarm(stream, CHANGED, scales, chance.permutation(count)) for _ in range(SHUFFLES)]
    silent = sum(bool(_drift_alarm(stream, SAME, scales, chance.permutation(count))) for _ in range(SHUFFLES))
    found = [delay or math.inf for delay in shuffled]
    budgets = [
        Budget(
            what=f"drift, {' beside '.join(SAME)}, prompts 400–804: alarms",
            limit=0,
            measured=float(bool(same)),
            unit="",
        ),
        Budget(
            what=f"drift, {' → '.join(CHANGED)}: delay",
            limit=60,
            measured=float(changed) if changed else math.inf,
            unit="prompts",
        ),
    ]
    orders = f"drift in {SHUFFLES} other orders of these prompts"
    note = (
        f"{orders}: changed after {np.median(found):.0f} (median), {max(found):.0f} (longest); same alarmed in {silent}"
    )
    return Goals(budgets, [note])


def _drift_alarm(
    blocks: dict[str, Blocks], pair: tuple[str, str], scales: Sequence[float], order: Iterable[int]
) -> int:
    """Prompts until the alarm; 0: none."""
    then, now = blocks[pair[0]], blocks[pair[1]]
    detector = OutputDrift(scales, RUN_LENGTH)
    for number, index in enumerate(order, start=1):
        if detector.observe([block[index] for block in then], [block[index] for block in now]):
            return number
    return 0


async def _blocks(texts: Sequence[str], embed: Embed) -> Blocks:
    return await embed(texts), worded(texts), formed(texts)


def _outputs(path: Path) -> list[str]:
    """By id."""
    with gzip.open(path) as file:
        answers = [msgspec.json.decode(line) for line in file]
    return [answer["output"] for answer in sorted(answers, key=lambda answer: int(answer["id"]))]


def _clipped_mean(mean: float, sd: float) -> float:
    """Of a normal distance whose negative values count as 0."""
    z = mean / sd
    return sd * math.exp(-z * z / 2) / math.sqrt(2 * math.pi) + mean * 0.5 * (1 + math.erf(z / math.sqrt(2)))


def _delays(first: NDArray[np.int64]) -> tuple[float, float]:
    """Median and 95th percentile; a stream without an alarm counts as never."""
    found = np.where(first == 0, np.inf, first.astype(np.float64))
    return float(np.percentile(found, 50, method="higher")), float(np.percentile(found, 95, method="higher"))


def _canaries(what: str, limit: float, measured: float) -> Budget:
    return Budget(what=what, limit=limit, measured=measured, unit="canaries")
