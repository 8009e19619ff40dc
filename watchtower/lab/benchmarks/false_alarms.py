"""``python -m watchtower.lab.benchmarks.false_alarms``: do the GPU rules ever cry wolf? Healthy bursty load, simulated.

Healthy is not equal: GPUs sample out of phase, cards draw a few per cent more or less power and boost a few per cent
higher, each is under its power cap at other times, a link replays a packet now and then, one rank does a little more.
Load comes in bursts of seconds to minutes, with nights that are almost idle. Reports and the load go through the real
windows, gate and shipped rules, on a clock moved by hand; the same seed gives the same week.
"""

from __future__ import annotations

import argparse
import json
import math
import random  # noqa: TID251 - seeded here, handed down: the week is the same every time
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from watchtower.rules.rule_files import load_rules, shipped_rules
from watchtower.rules.ruleset import Ruleset
from watchtower.vocabulary.errors import ExitCode
from watchtower.vocabulary.facts import GpuReport, RelayFrame
from watchtower.vocabulary.gpus import GpuSeen, GpuSource, UtilizationSample
from watchtower.vocabulary.readings import Explanation, Reading, Verdict
from watchtower.vocabulary.reasons import Reason, ReasonKind
from watchtower.vocabulary.signals import Signal
from watchtower.windows.gpu_windows import GpuWindows
from watchtower.windows.window_settings import WindowSettings
from watchtower.windows.workload import Workload

WEEK_SECONDS = 7 * 86400
DAY_SECONDS = 86400
REPORT_SECONDS = 5
IDLE = Reason(ReasonKind.IDLE, "idle")
EVALUATE_SECONDS = 15
"""Between two evaluations; windows of a minute overlap fourfold."""


class Tally(msgspec.Struct, kw_only=True):
    """What became of every evaluation of every GPU rule."""

    seconds: int
    seed: int
    evaluations: int = 0
    verdicts: dict[str, dict[str, int]] = {}
    alarms: dict[str, int] = {}
    """Times that a rule began to fire."""
    largest: dict[str, float] = {}
    """Largest value that was read, by reading."""

    @property
    def clean(self) -> bool:
        return not any(self.alarms.values())


class HealthyGroup:
    """Ranks of one group under one load, each with its own small ways."""

    def __init__(self, ranks: int, chance: random.Random) -> None:
        self._chance = chance
        self._phase = [chance.random() for _ in range(ranks)]
        self._share = [1 - 0.02 * chance.random() for _ in range(ranks)]
        self._power = [1 + 0.04 * (chance.random() - 0.5) for _ in range(ranks)]
        self._capped = [0] * ranks
        self._replays = [0] * ranks
        self._before = 0.0

    def report(self, at: float, loads: Sequence[float]) -> GpuReport:
        """The seconds that end at ``at``, with the group busy for so much of each."""
        gpus = [self._gpu(rank, at, loads) for rank in range(len(self._phase))]
        self._before = loads[-1]
        return GpuReport(at=at, source=GpuSource.NVML, gpus=gpus)

    def _gpu(self, rank: int, at: float, loads: Sequence[float]) -> GpuSeen:
        chance, phase, before, samples, total = self._chance, self._phase[rank], self._before, [], 0.0
        for ago, load in zip(range(len(loads) - 1, -1, -1), loads, strict=True):
            # a sample that ends ``phase`` seconds early holds so much of the second before
            busy = self._share[rank] * (phase * before + (1 - phase) * load) + 0.02 * (chance.random() - 0.5)
            before, busy = load, min(1.0, max(0.0, busy))
            total += busy
            samples.append(UtilizationSample(at=at - ago - phase, seconds=1.0, busy=busy))
        busy = total / len(loads)
        self._capped[rank] += int(total * (0.8 + 0.2 * chance.random()) * 1e9)
        self._replays[rank] += chance.random() < 1e-4
        return GpuSeen(
            uuid=f"GPU-{rank}",
            index=rank,
            utilization=samples,
            sm_clock_hz=1980e6 * (1 - 0.03 * chance.random()),
            power_watts=self._power[rank] * (90 + 560 * busy) * (1 + 0.1 * (chance.random() - 0.5)),
            power_limit_watts=700.0,
            temperature_celsius=60 + 15 * busy,
            throttled_ns={"thermal": 0, "power_brake": 0, "power_cap": self._capped[rank]},
            pcie_replays=self._replays[rank],
            pcie_generation=5,
            pcie_width=16,
        )


def bursts(seconds: int, chance: random.Random) -> Iterator[float]:
    """Share of each second with work: bursts and pauses of every length, thin at night."""
    working, left = False, 0
    for second in range(seconds):
        if left <= 0:
            working = not working
            day = 0.5 - 0.5 * math.cos(2 * math.pi * second / DAY_SECONDS)
            mean = 0.5 + 90 * day * chance.random() if working else 30 * (1.02 - day) * chance.random()
            left = max(1, round(chance.expovariate(1 / max(0.5, mean))))
        left -= 1
        yield min(1.0, 0.55 + 0.45 * chance.random()) if working else 0.0


def simulate(seconds: int, *, ranks: int = 4, seed: int = 0) -> Tally:
    """Live through ``seconds`` of healthy load."""
    chance = random.Random(seed)  # noqa: S311 - a simulation, no secret
    settings = WindowSettings(longest_window_seconds=300.0)
    gpus, work, group = GpuWindows(settings), Workload(300.0), HealthyGroup(ranks, chance)
    rules = Ruleset(tuple(rule for rule in load_rules([shipped_rules() / "triad.yaml"]).rules if "gpu" in rule.name))
    tally = Tally(seconds=seconds, seed=seed, verdicts={rule.name: dict.fromkeys(Verdict, 0) for rule in rules.rules})
    alarms, largest, firing, loads = Counter[str](), dict[str, float](), set[str](), list[float]()
    states, now = rules.initial(), 0.0

    def read(signal: Signal, over: float) -> Reading:
        worked = work.ratio(over, now)
        return gpus.read(signal.name, over, now, lambda: None if worked >= settings.gpu_work_ratio else IDLE)

    for second, load in enumerate(bursts(seconds, chance), start=1):
        now = float(second)
        loads.append(load)
        work.frame(RelayFrame(at=now, worker=0, pid=1, sequence=second, open_exchanges=int(load > 0)))
        if second % REPORT_SECONDS == 0:
            gpus.absorb(group.report(now, loads))
            loads.clear()
        if second % EVALUATE_SECONDS:
            continue
        states, verdicts = rules.evaluate(read, lambda _: Explanation.unknown(IDLE), states, now)
        tally.evaluations += 1
        for verdict in verdicts:
            tally.verdicts[verdict.rule][verdict.verdict] += 1
            alarms[verdict.rule] += verdict.firing and verdict.rule not in firing
            firing = firing - {verdict.rule} | ({verdict.rule} if verdict.firing else set())
            for reading in verdict.readings:
                if reading.value is not None:
                    largest[reading.name] = max(largest.get(reading.name, 0.0), round(reading.value, 4))
    return msgspec.structs.replace(tally, alarms=dict(alarms), largest=largest)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="watchtower.lab.benchmarks.false_alarms", description=__doc__)
    parser.add_argument("--seconds", type=int, default=WEEK_SECONDS)
    parser.add_argument("--ranks", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(argv)
    tally = simulate(chosen.seconds, ranks=chosen.ranks, seed=chosen.seed)
    print(json.dumps({"clean": tally.clean, **msgspec.to_builtins(tally)}, indent=2))
    return ExitCode.OK if tally.clean else ExitCode.PROBLEM_FOUND


if __name__ == "__main__":
    raise SystemExit(main())
