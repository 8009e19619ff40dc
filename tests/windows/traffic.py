"""Writes the facts of a relay in front of an engine, second by second, the same way every time."""

from __future__ import annotations

from collections.abc import Iterable

from watchtower.vocabulary.actions import Incarnation
from watchtower.vocabulary.facts import AnyFact, Closed, Ending, EngineSeen, ExchangeNews, Opened, RelayFrame
from watchtower.windows import Windows, WindowSettings

START = 1024.0
"""Every time here is exact in binary, so that shifting a trace does not round."""


class Relay:
    """One worker. ``facts`` collects what it said."""

    def __init__(self, start: float = START, worker: int = 0, pid: int = 77) -> None:
        self.now = start
        self.worker, self.pid, self.sequence = worker, pid, 0
        self.open: set[str] = set()
        self.dropped = 0
        self.facts: list[AnyFact] = []
        self.frame()

    def frame(self, news: Iterable[ExchangeNews] = (), lag: float = 0.0) -> None:
        news = list(news)
        self.open |= {item.id for item in news if item.opened is not None}
        self.open -= {item.id for item in news if item.closed is not None}
        self.facts.append(
            RelayFrame(
                at=self.now, worker=self.worker, pid=self.pid, sequence=self.sequence, open_exchanges=len(self.open),
                loop_lag_seconds=lag, dropped_news=self.dropped, news=news,
            )
        )  # fmt: skip
        self.sequence += 1

    def silence(self, seconds: float, step: float = 1.0) -> None:
        """Nothing happens, and the worker says so once a second."""
        for _ in range(int(seconds / step)):
            self.now += step
            self.frame()

    def serve(self, name: str, gaps: Iterable[float], tokens: int = 1, ttft: float = 0.25) -> None:
        """One whole exchange: opened now, first token after ``ttft``, one frame a token, closed with the last."""
        self.frame([opened(name, self.now)])
        self.now += ttft
        self.frame([ExchangeNews(id=name, first_token_at=self.now, first_tokens=1, last_token_at=self.now)])
        for gap in gaps:
            self.now += gap
            self.frame([token(name, self.now, gap, tokens)])
        self.frame([closed(name, self.now)])


def opened(name: str, at: float) -> ExchangeNews:
    return ExchangeNews(id=name, opened=Opened(at=at, path="/v1/chat/completions", stream=True))


def token(name: str, at: float, gap: float, tokens: int = 1) -> ExchangeNews:
    return ExchangeNews(id=name, last_token_at=at, gaps_ns=[round(gap * 1e9)], tokens=[tokens])


def closed(name: str, at: float, ending: Ending = Ending.COMPLETE, status: int = 200) -> ExchangeNews:
    return ExchangeNews(id=name, closed=Closed(at=at, ending=ending, status=status))


def seen(at: float, id: str = "100") -> EngineSeen:
    return EngineSeen(at=at, known=True, incarnation=Incarnation(id=id, started="1", boot_id="test-boot"))


def absorbed(facts: Iterable[AnyFact], settings: WindowSettings | None = None) -> Windows:
    windows = Windows(settings)
    for fact in facts:
        windows.absorb(fact)
    return windows


def busy_minute(streams: int = 25, gap: float = 0.125, start: float = START) -> Relay:
    """61 s of ``streams`` exchanges that each give a token every ``gap`` seconds (0.5 % jitter by stream)."""
    relay = Relay(start)
    relay.frame([opened(f"x{n}", relay.now) for n in range(streams)])
    relay.now += 0.25
    relay.frame(
        ExchangeNews(id=f"x{n}", first_token_at=relay.now, first_tokens=1, last_token_at=relay.now)
        for n in range(streams)
    )
    for _ in range(round(61 / gap)):
        relay.now += gap
        relay.frame(token(f"x{n}", relay.now, gap * (1 + 0.005 * (n % 5))) for n in range(streams))
    return relay
