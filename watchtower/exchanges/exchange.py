"""Generation exchanges as they unfold, and the news of them that nobody has taken yet.

An exchange gathers what happened to it; ``ExchangeTable.drain`` hands out everything since the last time. While nobody
drains, news gathers in place and ``shed`` bounds it: the gaps are dropped and counted, openings and endings are
kept, because they decide whether anything is open at all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from watchtower.exchanges.backlog import Backlog
from watchtower.exchanges.uneven_reads import UnevenReads
from watchtower.vocabulary.facts import Closed, Ending, ExchangeNews, Opened

NANO: Final = 1e-9
MAX_CLOSED_KEPT: Final = 10_000
"""Ended exchanges that are kept for an absent reader; beyond it the oldest are dropped and counted."""


class AnswerText(Protocol):
    """Gathers what an exchange is answered."""

    def add(self, text: object) -> None:
        """The answer's next piece; whatever is no text is skipped."""

    def end(self, exchange: Exchange, ending: Ending, at: float) -> None:
        """There will be no more."""


class Exchange:
    """One generation request and its answer. All instants are CLOCK_BOOTTIME nanoseconds."""

    __slots__ = (
        "_closed",
        "_first_ns",
        "_first_reported",
        "_first_tokens",
        "_gaps",
        "_last_ns",
        "_more_tokens",
        "_open_reported",
        "_reported_tokens",
        "_table",
        "_tokens",
        "_uneven",
        "_waiting",
        "backlog",
        "client_full",
        "completion_tokens",
        "estimated",
        "finish_reason",
        "fresh",
        "id",
        "model",
        "opened_ns",
        "path",
        "prompt_tokens",
        "quiet",
        "request_bytes",
        "sample",
        "status",
        "stream",
        "tag",
        "traceparent",
        "unknown_finish",
        "whole_ns",
    )

    def __init__(
        self, table: ExchangeTable, id: str, opened_ns: int, path: str, tag: str, *, quiet: bool = False
    ) -> None:
        self._table = table
        self.backlog = table.backlog
        """Takes parts of the answer that are read when there are more of them, or when somebody wants to know."""
        self.id = id
        self.opened_ns = opened_ns
        self.path = path
        self.tag = tag
        self.model = ""
        self.stream = False
        self.request_bytes = 0
        self.traceparent = ""
        self.sample: AnswerText | None = None
        """Gathers the answer's text, where this exchange is a sample."""
        self.status = 0
        self.fresh = 0
        """Tokens found in the present read and not yet timed."""
        self.estimated = False
        self.completion_tokens = -1
        self.prompt_tokens = -1
        self.finish_reason = ""
        self.unknown_finish = False
        self.whole_ns = 0
        """When the request's last byte was forwarded; 0: not yet."""
        self.client_full = False
        """The client does not read, and so we do not read from the engine."""
        self._uneven: UnevenReads | None = None
        self._first_ns = 0
        self._first_tokens = 0
        self._last_ns = 0
        self._gaps: list[int] = []
        self._tokens: list[int] = []
        self._more_tokens = 0
        self._reported_tokens = 0  # those of earlier news
        self._closed: Closed | None = None
        self._open_reported = False
        self._first_reported = False
        self._waiting = False
        self.quiet = quiet
        """Told of once it has ended: it has no tokens, so nobody shall wait for its first."""
        self.touch()

    @property
    def is_open(self) -> bool:
        return self._closed is None

    @property
    def was_read(self) -> bool:
        """It has ended, and its ending tells something of the engine or the client."""
        return self._closed is not None and self._closed.ending is not Ending.UNOBSERVED

    def touch(self) -> None:
        """There is news of this exchange."""
        if not self._waiting and not self.quiet:
            self._waiting = True
            self._table.waiting.append(self)

    def describe(self, *, model: str = "", stream: bool = False) -> None:
        """More became known of the request; the opening is told again if it was told without."""
        if (model and model != self.model) or (stream and not self.stream):
            self.model = model or self.model
            self.stream = stream or self.stream
            self._open_reported = False
            self.touch()

    def request_whole(self, ns: int) -> None:
        """The request's last byte was forwarded at ``ns``."""
        self.whole_ns = ns
        if self._open_reported:
            self._open_reported = False
            self.touch()

    @property
    def has_tokens(self) -> bool:
        """At least one was read and timed."""
        return self._first_ns > 0

    # ── for readers, where a read is more than one gap and its tokens ───────────────────────────

    @property
    def uneven(self) -> UnevenReads:
        """Made when first asked for."""
        if self._uneven is None:
            self._uneven = UnevenReads()
        return self._uneven

    def split(self, *, first_open: bool) -> None:
        """An answer of several choices. ``first_open``: choice 0 was seen and has not finished."""
        self.uneven.split(self._last_ns if first_open else None, self.fresh)

    def more_tokens(self, count: int) -> None:
        """``count`` tokens came whose gap says nothing."""
        self._more_tokens += count
        self.touch()

    def client_stopped(self, stopped: bool, ns: int) -> None:
        """The client's buffer is full (or empty again), so the engine is not read from (or is again)."""
        self.client_full = stopped
        if stopped:
            self.uneven.paused(ns)
        self.touch()

    # ── a read ──────────────────────────────────────────────────────────────────────────────────

    def tokens_read(self, ns: int) -> None:
        """The read at ``ns`` carried the ``fresh`` tokens: they share its gap."""
        count = self.fresh
        self.fresh = 0
        if self._uneven is not None:
            self._read_unevenly(self._uneven, ns, count)
        elif self._last_ns:
            self._gaps.append(ns - self._last_ns)
            self._tokens.append(count)
        else:
            self._first_ns = ns
            self._first_tokens = count
        self._last_ns = ns
        self.quiet = False
        if not self._waiting:
            self._waiting = True
            self._table.waiting.append(self)

    def _read_unevenly(self, uneven: UnevenReads, ns: int, count: int) -> None:
        observed = uneven.read(ns, count, self._last_ns)
        if not self._last_ns:
            self._first_ns = ns
            self._first_tokens = observed.besides
            return
        self._more_tokens += observed.besides
        if observed.tokens:
            self._gaps.append(observed.gap_ns)
            self._tokens.append(observed.tokens)

    def _counted(self) -> int:
        """Tokens so far."""
        return self._reported_tokens + self._first_tokens + sum(self._tokens) + self._more_tokens

    def close(self, ending: Ending, ns: int) -> None:
        """The first ending counts; later ones are ignored. What the engine gives up at our wish is ours."""
        if self._closed is not None:
            return
        if ending is Ending.FAILED and self._table.gives_up():
            ending = Ending.OURS
        self._closed = Closed(
            ns * NANO,
            ending,
            self.status,
            self.completion_tokens,
            self.prompt_tokens,
            self.finish_reason,
            self._deltas(),
            self.unknown_finish,
        )
        self._table.open.pop(self.id, None)
        if self.sample is not None:
            self.sample.end(self, ending, ns * NANO)
            self.sample = None
        self.quiet = False
        self.touch()

    def restate(self) -> None:
        """A new reader knows nothing: tell the opening and the first token again, without the tokens counted then."""
        self._open_reported = False
        self._first_reported = False
        self.touch()

    def _deltas(self) -> int:
        """Pieces that were each counted as one token; 0 where that would not tell how many a piece holds. Pieces that
        the engine held back get the tokens that nobody else had."""
        counted, uneven = self._counted(), self._uneven
        if uneven is None or not uneven.held_back:
            return counted if self.estimated else 0
        left = self.completion_tokens - counted
        for gap_ns, tokens in uneven.sized(left):
            self._gaps.append(gap_ns)
            self._tokens.append(tokens)
            left -= tokens
        self._more_tokens += max(0, left)
        return 0

    def shed(self) -> int:
        """Forget gaps nobody took; how many."""
        count = len(self._gaps)
        self._reported_tokens += sum(self._tokens)
        self._gaps.clear()
        self._tokens.clear()
        return count

    @property
    def gaps_waiting(self) -> int:
        return len(self._gaps)

    def take_news(self) -> ExchangeNews:
        """Everything since the last time."""
        self._waiting = False
        opened = None
        if not self._open_reported:
            self._open_reported = True
            opened = Opened(
                self.opened_ns * NANO,
                self.path,
                self.model,
                self.stream,
                self.tag,
                self.request_bytes,
                self.traceparent,
                self.whole_ns * NANO,
            )
        first_at = None
        if self._first_ns and not self._first_reported:
            self._first_reported = True
            first_at = self._first_ns * NANO
        uneven = self._uneven
        slowest_ns = uneven.slowest_ns() if uneven is not None else 0
        news = ExchangeNews(
            id=self.id,
            opened=opened,
            first_token_at=first_at,
            first_tokens=self._first_tokens,
            last_token_at=self._last_ns * NANO if self._last_ns else None,
            gaps_ns=self._gaps,
            tokens=self._tokens,
            estimated=self.estimated,
            more_tokens=self._more_tokens,
            slowest_choice_at=slowest_ns * NANO if slowest_ns else None,
            client_full=self.client_full,
            client_held_ns=uneven.take_unread() if uneven is not None else 0,
            closed=self._closed,
        )
        self._reported_tokens += self._first_tokens + self._more_tokens + sum(self._tokens)
        self._first_tokens = self._more_tokens = 0
        self._gaps = []
        self._tokens = []
        return news


class ExchangeTable:
    """The exchanges of one relay worker."""

    def __init__(self, prefix: str) -> None:
        """``prefix``: ``worker.pid``, unique on this boot."""
        self._prefix = prefix
        self._count = 0
        self.open: dict[str, Exchange] = {}
        self.waiting: list[Exchange] = []
        """Exchanges with news, in the order of their first untold news."""
        self.backlog = Backlog()
        self.dropped = 0
        """Cumulative: gaps and endings shed while nobody read."""
        self.gives_up: Callable[[], bool] = lambda: False
        """Whether we ourselves have the engine give up what it answers."""

    def begin(self, ns: int, path: str, tag: str = "", *, quiet: bool = False) -> Exchange:
        """A request that costs work was forwarded at ``ns``."""
        self._count += 1
        exchange = Exchange(self, f"{self._prefix}-{self._count}", ns, path, tag, quiet=quiet)
        self.open[exchange.id] = exchange
        return exchange

    @property
    def has_news(self) -> bool:
        return bool(self.waiting or len(self.backlog))

    def drain(self) -> list[ExchangeNews]:
        self.backlog.read()
        waiting, self.waiting = self.waiting, []
        return [exchange.take_news() for exchange in waiting]

    def restate(self) -> None:
        """A reader arrived who knows of no exchange."""
        for exchange in self.open.values():
            exchange.restate()

    def shed(self, most_gaps: int) -> None:
        """Nobody reads: keep at most ``most_gaps`` gaps and MAX_CLOSED_KEPT endings."""
        if sum(exchange.gaps_waiting for exchange in self.waiting) > most_gaps:
            self.dropped += sum(exchange.shed() for exchange in self.waiting)
        ended = [exchange for exchange in self.waiting if not exchange.is_open]
        if len(ended) > MAX_CLOSED_KEPT:
            lost = set(ended[: len(ended) - MAX_CLOSED_KEPT])
            self.dropped += len(lost)
            self.waiting = [exchange for exchange in self.waiting if exchange not in lost]
