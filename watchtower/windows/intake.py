"""From frames to observations: the path of every token.

Only exchanges whose opening was seen, at the incarnation of today, are listened to. A read of k tokens after a gap
g is k observations of g/k, filed at the instant of the read; the first read has a time to first token and no gap.
"""

from __future__ import annotations

import math

from watchtower.vocabulary.endings import COUNTS_AS, CountsAs
from watchtower.vocabulary.facts import Ending, EngineScrape, ExchangeNews, Opened, RelayFrame
from watchtower.vocabulary.unread import UnreadCause
from watchtower.windows.continuity import Continuity
from watchtower.windows.labels import LabelledSeries
from watchtower.windows.observations import Observations
from watchtower.windows.relay_workers import RelayWorkers
from watchtower.windows.roster import OpenExchange, Roster
from watchtower.windows.series import EXACT, MOST_TOKENS_IN_A_READ, UNPROVEN
from watchtower.windows.token_ratios import Seen, TokenRatio, TokenRatios
from watchtower.windows.totals import TotalsByModel
from watchtower.windows.traffic_counts import TrafficSlot
from watchtower.windows.unread_traffic import UnreadTraffic
from watchtower.windows.window_settings import WindowSettings


class Intake:
    """Everything that is learned from the relay."""

    def __init__(self, settings: WindowSettings, continuity: Continuity) -> None:
        self._continuity = continuity
        self._relay_lag_seconds = settings.relay_lag_seconds
        self.relays = RelayWorkers(settings.relay_silence_seconds)
        self.roster = Roster()
        self.inter_token_totals = TotalsByModel(settings.inter_token_bounds, settings.model)
        self.first_token_totals = TotalsByModel(settings.first_token_bounds, settings.model)
        self.all = Observations(settings, self.inter_token_totals, self.first_token_totals)
        """Of every exchange."""
        self._traffic, self._inter_token = self.all.traffic, self.all.inter_token
        self.labelled = LabelledSeries(settings)
        self.unread = UnreadTraffic(settings.known_blind, settings.longest_window_seconds)
        self.ended = dict.fromkeys(CountsAs, 0)
        """Exchanges since our start, by what their ending counts as."""
        self._ratios = TokenRatios()
        self._pieces = self._unread = 0
        """Cumulative, as in ``token_ratios.Seen``."""
        self._all_tokens = self._estimated = 0
        """Cumulative: tokens that were counted, and those of them that pieces stand for."""
        self.others = 0
        """Exchanges that no labelled series was named for."""
        self.ignored = 0
        """News of exchanges whose opening was not seen at this incarnation, and frames seen before."""

    def frame(self, frame: RelayFrame) -> None:
        heard = self.relays.heard(frame)
        if heard.repeated:
            self.ignored += 1
            return
        self.unread.frame(frame)
        if heard.fresh:
            self.roster.forget_worker(frame.pid)
        slot = self._traffic.at(frame.at)
        if slot is not None:
            if heard.watched_seconds:
                slot.watched(frame.pid, heard.watched_open, heard.watched_seconds)
            slot.lag(frame.loop_lag_seconds if math.isfinite(frame.loop_lag_seconds) else math.inf, self._late(frame))
        if frame.unread or any(route.cause is not UnreadCause.LOOK for route in frame.routes):
            self.passed_unread()
        for news in frame.news:
            self._news(frame, news, slot)
        if heard.shed and self.roster.of_worker(frame.pid) > frame.open_exchanges - frame.open_unobserved:
            self.roster.forget_worker(frame.pid)  # an ending was among what was shed: better none than a ghost

    def _late(self, frame: RelayFrame) -> bool:
        """The worker's loop was late: the latencies of this frame measure the relay too. Clients felt them, so every
        total has them, and no reading does."""
        return not frame.loop_lag_seconds <= self._relay_lag_seconds

    def scraped(self, scrape: EngineScrape) -> None:
        if scrape.ok and scrape.generation_tokens is not None:
            seen = Seen(scrape.generation_tokens, self._pieces, self._all_tokens - self._estimated, self._unread)
            self._ratios.scraped(scrape.at, seen)

    def passed_unread(self) -> None:
        """The engine worked for somebody whose tokens are not seen here."""
        self._unread += 1

    def new_incarnation(self) -> None:
        self.roster.forget_all()
        self._ratios = TokenRatios()

    def _news(self, frame: RelayFrame, news: ExchangeNews, slot: TrafficSlot | None) -> None:
        """``slot``: the sub-window of the frame."""
        exchange = self.roster.find(news.id)
        if exchange is None:
            if news.opened is None or not self._continuity.changed_at < news.opened.at <= frame.at:
                self.ignored += 1
                return
            exchange = self.roster.opened(news.id, frame.pid, news.opened)
            exchange.labelled = self.labelled.of_exchange(news.opened.tag, exchange.model)
            self._asked(news.opened, exchange)
        elif news.opened is not None:
            self.roster.opened(news.id, frame.pid, news.opened)
            exchange.labelled = self.labelled.of_exchange(news.opened.tag, exchange.model)
        if slot is not None:
            slot.heard += 1
        if exchange.labelled:
            for some in exchange.labelled:
                part = some.traffic.at(frame.at)
                if part is not None:
                    part.heard += 1
        self._first_token(frame, news, exchange)
        self._tokens(frame, news, exchange)
        self._client(frame, news, exchange)
        if news.closed is not None:
            self._closed(frame, news, exchange)

    def _asked(self, opened: Opened, exchange: OpenExchange) -> None:
        for some in (self.all, *exchange.labelled):
            slot = some.traffic.at(opened.at)
            if slot is not None:
                slot.asked(opened.request_bytes)
        self.others += self.labelled.is_other(exchange.labelled)

    def _first_token(self, frame: RelayFrame, news: ExchangeNews, exchange: OpenExchange) -> None:
        if news.first_token_at is None or exchange.first_token_at is not None:
            return
        at = _instant(news.first_token_at, frame)
        exchange.first_token_at = exchange.last_token_at = at
        if at > self.relays.clean_since:  # after a hole, a first token told again is an old one
            asked = exchange.asked_at if exchange.asked_at < at else exchange.opened_at
            wait, late = at - asked, self._late(frame)
            self.all.first_token.add(
                at, wait, 1, exchange.number, late=late, model=exchange.model, trace_id=exchange.trace_id
            )
            for some in exchange.labelled:
                some.first_token.add(at, wait, 1, exchange.number, late=late)
        self.roster.progressed(at)
        self._prompt_done(exchange, at)
        first = news.first_tokens
        self._count(
            exchange, at, self._tokens_of(first, exchange, self._ratio(exchange, news)) if news.estimated else first
        )

    def _tokens(self, frame: RelayFrame, news: ExchangeNews, exchange: OpenExchange) -> None:
        if news.last_token_at is None and not news.gaps_ns:
            return
        last = _instant(frame.at if news.last_token_at is None else news.last_token_at, frame)
        at = last
        if len(news.gaps_ns) != len(news.tokens):
            self._inter_token.invalid += 1
        before = min(last, exchange.last_token_at or exchange.opened_at)  # gaps of several choices overlap
        late, labelled = self._late(frame), exchange.labelled
        estimated, ratio = news.estimated, self._ratio(exchange, news)
        each = ratio.low if ratio else 1.0
        count = (ratio.surety if ratio else UNPROVEN) if estimated else EXACT
        for gap_ns, counted in zip(reversed(news.gaps_ns), reversed(news.tokens), strict=False):
            gap = gap_ns / 1e9
            seconds = gap / (counted * each) if counted > 0 else 0.0
            tokens = self._tokens_of(counted, exchange, ratio) if estimated else counted
            self._inter_token.add(
                at, seconds, tokens, exchange.number,
                gap=gap, count=count, late=late, model=exchange.model, trace_id=exchange.trace_id,
            )  # fmt: skip
            if labelled:
                for some in labelled:
                    some.inter_token.add(at, seconds, tokens, exchange.number, gap=gap, count=count, late=late)
            self._count(exchange, at, tokens)
            at = at - gap if gap > 0 else at
            if at < before:
                at = before
        if news.more_tokens:
            more = self._tokens_of(news.more_tokens, exchange, ratio) if estimated else news.more_tokens
            self._count(exchange, last, more)
        if exchange.last_token_at is None or last > exchange.last_token_at:
            exchange.last_token_at = last
        self.roster.progressed(last)

    def _client(self, frame: RelayFrame, news: ExchangeNews, exchange: OpenExchange) -> None:
        """Whether the client is to blame for a silence, and which choice waits for its next token."""
        if exchange.client_full and not news.client_full:
            exchange.reads_since = frame.at
        exchange.client_full = news.client_full
        exchange.slowest_choice_at = news.slowest_choice_at

    def _ratio(self, exchange: OpenExchange, news: ExchangeNews) -> TokenRatio | None:
        """Tokens a piece of text, where pieces are counted and the ratio is known."""
        return self._ratios.of(exchange.path, exchange.model) if news.estimated else None

    def _tokens_of(self, pieces: int, exchange: OpenExchange, ratio: TokenRatio | None) -> int:
        """How many tokens ``pieces`` stand for. What rounding leaves over, the next read of the exchange gets."""
        if not 0 < pieces <= MOST_TOKENS_IN_A_READ:
            return pieces
        tokens = pieces
        if ratio is not None:
            exchange.remainder += pieces * ratio.low
            tokens = int(exchange.remainder)
            exchange.remainder -= tokens
        self._pieces += pieces
        self._estimated += tokens
        return tokens

    def _closed(self, frame: RelayFrame, news: ExchangeNews, exchange: OpenExchange) -> None:
        assert news.closed is not None
        closed = news.closed.as_said_today()
        at = _instant(closed.at, frame)
        if exchange.first_token_at is None:  # an answer in one piece: its tokens arrive with its end
            if COUNTS_AS[closed.ending] is CountsAs.GOOD:
                self._prompt_done(exchange, at)
            self._count(exchange, at, closed.completion_tokens)
        for some in (self.all, *exchange.labelled):
            slot = some.traffic.at(at)
            if slot is not None:
                slot.closed(closed)
        self._unread += closed.ending is Ending.UNOBSERVED
        counts = COUNTS_AS[closed.ending]
        self.ended[counts] += 1
        if counts is CountsAs.GOOD:
            self._ratios.ended(exchange.path, exchange.model, closed.deltas, closed.completion_tokens)
            self.roster.progressed(at)
            self._continuity.served(at)
        self.roster.closed(news.id)

    def _prompt_done(self, exchange: OpenExchange, at: float) -> None:
        slot = self._traffic.at(at)
        if slot is not None:
            slot.answered_bytes += exchange.request_bytes

    def _count(self, exchange: OpenExchange, at: float, tokens: int) -> None:
        if not 0 < tokens <= MOST_TOKENS_IN_A_READ:
            return
        self._all_tokens += tokens
        self.roster.progressed(at)
        slot = self._traffic.at(at)
        if slot is not None:
            slot.tokens += tokens
        if exchange.labelled:
            for some in exchange.labelled:
                slot = some.traffic.at(at)
                if slot is not None:
                    slot.tokens += tokens


def _instant(at: float, frame: RelayFrame) -> float:
    """A worker cannot tell of what comes after its frame; a stamp that is no time counts as the frame's."""
    return min(at, frame.at) if math.isfinite(at) else frame.at
