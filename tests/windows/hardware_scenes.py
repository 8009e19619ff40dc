"""Writes GPU reports second by second, beside an engine that is at work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tests.windows.traffic import START, Relay, closed, opened, token
from watchtower.vocabulary.facts import AnyFact, ExchangeNews, GpuReport
from watchtower.vocabulary.gpus import GpuSeen, GpuSource, UtilizationSample
from watchtower.windows import Windows, WindowSettings

HEALTHY: dict[str, Any] = {
    "sm_clock_hz": 1980e6,
    "sm_clock_max_hz": 1980e6,
    "power_watts": 600.0,
    "power_limit_watts": 700.0,
    "temperature_celsius": 61.0,
    "throttle_reasons": 0x4,
    "pcie_generation": 5,
    "pcie_width": 16,
    "nvlink_active": 18,
    "nvlink_total": 18,
    "nvlink_errors": 0,
    "pcie_replays": 0,
    "ecc_corrected": 0,
    "ecc_uncorrected": 0,
}
Change = Callable[[int], dict[str, Any]]
"""Second → what differs from a healthy GPU."""


def uuid(index: int) -> str:
    return f"GPU-{index}"


def gpu(index: int, at: float, second: int, busy: float, **changes: Any) -> GpuSeen:
    """One report of one GPU: six samples of the second that ends at ``at``; throttled times of a healthy card."""
    healthy = {**HEALTHY, "throttled_ns": {"thermal": 0, "power_brake": 0, "power_cap": int(second * 0.9e9)}}
    samples = [UtilizationSample(at=at - 1 + (k + 1) / 6, seconds=1 / 6, busy=busy) for k in range(6)]
    return GpuSeen(**{"uuid": uuid(index), "index": index, "utilization": samples, **healthy, **changes})


def reports(
    busy: Sequence[float],
    seconds: int = 70,
    *,
    source: GpuSource = GpuSource.NVML,
    change: dict[int, Change] | None = None,
) -> list[GpuReport]:
    """One report a second; ``busy`` is each GPU's utilization, ``change`` what is wrong with one of them."""
    change = change or {}
    return [
        GpuReport(
            at=START + second,
            source=source,
            gpus=[
                gpu(index, START + second, second, mean, **(change[index](second) if index in change else {}))
                for index, mean in enumerate(busy)
            ],
        )
        for second in range(1, seconds + 1)
    ]


def at_work(seconds: int = 70, *, share: float = 1.0, tokens: bool = True, stops_after: int = 10**6) -> list[AnyFact]:
    """A relay that speaks twice a second. In the first ``share`` of every ten seconds an exchange is open and gives a
    token each half second; without ``tokens`` one exchange stays open for ever, as does the one that is open
    ``stops_after`` so many seconds."""
    relay = Relay()
    for step in range(2 * seconds):
        if step == 2 * stops_after:
            tokens = False
        busy = step % 20 < 20 * share and step < 2 * stops_after
        name = f"x{step // 20}" if tokens else "hung"
        if busy and name not in relay.open:
            relay.frame([opened(name, relay.now)])
        relay.now += 0.5
        news: list[ExchangeNews] = []
        if busy and tokens:
            first = ExchangeNews(id=name, first_token_at=relay.now, first_tokens=1, last_token_at=relay.now)
            news = [first if step % 20 == 0 else token(name, relay.now, 0.5)]
        relay.frame(news)
        if tokens and name in relay.open and (not (step + 1) % 20 < 20 * share or step % 20 == 19):
            relay.frame([closed(name, relay.now)])
    return list(relay.facts)


def watched(*parts: Iterable[AnyFact], settings: WindowSettings | None = None) -> tuple[Windows, float]:
    """All facts in the order of their time; (windows, the last instant)."""
    windows = Windows(settings)
    facts = sorted((fact for part in parts for fact in part), key=lambda fact: fact.at)
    for fact in facts:
        windows.absorb(fact)
    return windows, facts[-1].at
