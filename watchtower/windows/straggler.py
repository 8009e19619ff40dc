"""Which rank holds the others up, how far beyond its bound, and why: everything but utilization is asked.

A rank that waits inside a collective spins and reads 100 %, so a slow GPU usually shows no difference in utilization
at all: its clocks, throttling, power, links and memory tell. Each witness compares one rank with the median of its
peers and gives the deviation divided by its bound: 1 is at the bound. The worst rank's worst witness is the score.
A software power cap is normal at full load, and speaks only where the peers have far less of it.

Bounds are proposals of ours, not the vendor's: Watchtower's own rule warns, and a person judges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import Final

from watchtower.windows.gpu_ranks import Rank

CLOCK_BOUND: Final = 0.10
"""SM clock this much below the peers' (ratio)."""
THROTTLED_BOUND: Final = 0.05
"""Share of the window spent throttled, and more than twice the peers'."""
CAPPED_BOUND: Final = 0.30
"""Share of the window under the power cap above the peers'."""
POWER_LOW_BOUND: Final = 0.20
POWER_HIGH_BOUND: Final = 0.25
ACTIVE_BOUND: Final = 0.15
"""Difference of SM or memory activity from the peers' (15 pp)."""
ERRORS_BOUND: Final = 3
"""New errors in the window where the peers have none."""
LIMIT_BOUND: Final = 0.05
"""An enforced power limit this much below the peers' explains a low clock."""
BUSY_BOUND: Final = 0.15
MOST: Final = 20.0


class LagCause(StrEnum):
    """In the order in which one explains another: the first that applies is named."""

    THERMAL = "thermal"
    POWER_BRAKE = "power brake"
    POWER_CAP = "power cap"
    LINKS = "links"
    MEMORY = "memory"
    HOST_STALL = "host stall"
    CLOCKS = "clocks"
    UNEXPLAINED = "unexplained"


@dataclass(frozen=True, slots=True)
class Sign:
    """What one witness says of one rank."""

    cause: LagCause
    score: float
    text: str
    directed: bool = True
    """False: of two ranks it cannot tell which one is odd."""


@dataclass(frozen=True, slots=True)
class Straggler:
    """The worst rank of a group."""

    score: float
    rank: Rank
    sign: Sign
    """The one that explains it best."""
    other: Rank | None = None
    """Of a pair, when nobody can tell which of the two it is."""

    @property
    def sentence(self) -> str:
        who = f"{self.rank.label} or {self.other.label}" if self.other is not None else self.rank.label
        return f"{who}: {self.sign.cause}, {self.sign.text}"


def worst(ranks: Sequence[Rank]) -> Straggler:
    """Of at least two ranks the one furthest beyond a bound; the first of equals, with score 0 when nothing differs."""
    assert len(ranks) > 1
    found = [_judged(rank, [peer for peer in ranks if peer is not rank]) for rank in ranks]
    return max(found, key=lambda candidate: candidate.score)


def explained(rank: Rank, peers: Sequence[Rank]) -> Sign | None:
    """The best explanation of what is odd about ``rank``; None when every witness is inside its bound."""
    beyond = [sign for sign in signs(rank, peers) if sign.score >= 1]
    causes = list(LagCause)
    return min(beyond, key=lambda sign: (causes.index(sign.cause), -sign.score), default=None)


def _judged(rank: Rank, peers: Sequence[Rank]) -> Straggler:
    said = sorted(signs(rank, peers), key=lambda sign: -sign.score)
    if not said:
        return Straggler(0.0, rank, Sign(LagCause.UNEXPLAINED, 0.0, "no witness speaks"))
    best = explained(rank, peers) or said[0]
    directed = any(sign.directed for sign in said if sign.score >= 1)
    pair = len(peers) == 1 and not directed
    return Straggler(said[0].score, rank, best, peers[0] if pair else None)


def signs(rank: Rank, peers: Sequence[Rank]) -> Iterator[Sign]:
    """Everything that any witness says of ``rank``, inside its bound or not."""
    yield from _throttling(rank, peers)
    yield from _clocks_and_power(rank, peers)
    yield from _activity(rank, peers)
    yield from _links(rank, peers)
    yield from _memory(rank, peers)


def _throttling(rank: Rank, peers: Sequence[Rank]) -> Iterator[Sign]:
    for reason, cause in (
        ("thermal", LagCause.THERMAL),
        ("power_brake", LagCause.POWER_BRAKE),
        ("hw_slowdown", LagCause.CLOCKS),
    ):
        share, usual = rank.throttled.get(reason, 0.0), median(peer.throttled.get(reason, 0.0) for peer in peers)
        if share > 2 * usual:
            hot = f" at {rank.temperature_celsius:.0f} °C" if rank.temperature_celsius and reason == "thermal" else ""
            yield _sign(
                cause, share / THROTTLED_BOUND, f"throttled {percent(share)} of the window{hot}{_clock(rank, peers)}"
            )
    capped = rank.throttled.get("power_cap", 0.0) - median(peer.throttled.get("power_cap", 0.0) for peer in peers)
    if capped > 0:
        yield _sign(
            LagCause.POWER_CAP, capped / CAPPED_BOUND, f"under its power cap {percent(capped)} more of the window"
        )


def _clocks_and_power(rank: Rank, peers: Sequence[Rank]) -> Iterator[Sign]:
    limit = _against(rank, peers, lambda gpu: gpu.power_limit_watts)
    because = ""
    if limit is not None and limit < 1 - LIMIT_BOUND:
        because = f", its power limit is {percent(limit)} of the peers'"
    clock = _against(rank, peers, lambda gpu: gpu.sm_clock_hz)
    if clock is not None and clock < 1:
        cause = LagCause.POWER_CAP if because else LagCause.CLOCKS
        yield _sign(cause, (1 - clock) / CLOCK_BOUND, _clock(rank, peers).removeprefix(", ") + because)
    power = _against(rank, peers, lambda gpu: gpu.power_watts)
    if power is not None:
        idle = rank.busy.mean < median(peer.busy.mean for peer in peers) - BUSY_BOUND
        cause = LagCause.POWER_CAP if because else LagCause.HOST_STALL if idle and power < 1 else LagCause.UNEXPLAINED
        text = f"power {percent(power)} of the peers'"
        text += (
            f", and its kernels come late: busy {percent(rank.busy.mean)}" if cause is LagCause.HOST_STALL else because
        )
        bound = POWER_LOW_BOUND if power < 1 else POWER_HIGH_BOUND
        yield _sign(cause, abs(1 - power) / bound, text, directed=bool(because))


def _activity(rank: Rank, peers: Sequence[Rank]) -> Iterator[Sign]:
    values: tuple[tuple[str, Callable[[Rank], float | None]], ...] = (
        ("of its SMs", lambda gpu: gpu.sm_active),
        ("of its memory bandwidth", lambda gpu: gpu.dram_active),
    )
    for what, value in values:
        own, others = value(rank), _known(peers, value)
        if own is not None and others:
            text = f"uses {percent(own)} {what}, the peers {percent(median(others))}"
            yield _sign(LagCause.UNEXPLAINED, abs(own - median(others)) / ACTIVE_BOUND, text, directed=False)


def _links(rank: Rank, peers: Sequence[Rank]) -> Iterator[Sign]:
    if rank.link_errors and not median(peer.link_errors for peer in peers):
        yield _sign(
            LagCause.LINKS, rank.link_errors / ERRORS_BOUND, f"{rank.link_errors} new link errors, the peers none"
        )
    lanes = [(2 ** peer.pcie[0]) * peer.pcie[1] for peer in peers if peer.pcie]
    if rank.pcie and lanes and (own := (2 ** rank.pcie[0]) * rank.pcie[1]) < median(lanes):
        text = f"PCIe generation {rank.pcie[0]} x{rank.pcie[1]} is below the peers'"
        yield _sign(LagCause.LINKS, median(lanes) / max(1, own), text)
    up = [peer.nvlinks[0] for peer in peers if peer.nvlinks]
    if rank.nvlinks and up and rank.nvlinks[0] < median(up):
        text = f"{rank.nvlinks[0]} of {rank.nvlinks[1]} NVLinks are up"
        yield _sign(LagCause.LINKS, median(up) / max(1, rank.nvlinks[0]), text)


def _memory(rank: Rank, peers: Sequence[Rank]) -> Iterator[Sign]:
    if rank.damage and not all(peer.damage for peer in peers):
        yield _sign(LagCause.MEMORY, 1.0, rank.damage)
    if rank.memory_errors and not median(peer.memory_errors for peer in peers):
        text = f"{rank.memory_errors} new corrected memory errors, the peers none"
        yield _sign(LagCause.MEMORY, rank.memory_errors / ERRORS_BOUND, text)


def percent(ratio: float) -> str:
    return f"{ratio * 100:.0f} %"


def _sign(cause: LagCause, score: float, text: str, *, directed: bool = True) -> Sign:
    return Sign(cause, min(MOST, score), text, directed)


def _known(peers: Sequence[Rank], value: Callable[[Rank], float | None]) -> list[float]:
    return [found for found in map(value, peers) if found is not None]


def _against(rank: Rank, peers: Sequence[Rank], value: Callable[[Rank], float | None]) -> float | None:
    """The rank's value as a ratio of the peers' median."""
    own, others = value(rank), _known(peers, value)
    return own / median(others) if own is not None and others and median(others) > 0 else None


def _clock(rank: Rank, peers: Sequence[Rank]) -> str:
    others = _known(peers, lambda gpu: gpu.sm_clock_hz)
    if rank.sm_clock_hz is None or not others:
        return ""
    return f", SM clock {rank.sm_clock_hz / 1e6:.0f} MHz, the peers' {median(others) / 1e6:.0f}"
