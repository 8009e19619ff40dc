"""One span for each exchange whose client keeps its trace: what the client waited for, below the client's own span.

The client decided on sampling, in its ``traceparent``; without one, or with its flag off, nothing is made. The engine
gets the same header, so its spans are siblings of ours. There is no text in a span: names, counts, instants.
"""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags

from watchtower.exporters.conventions import EXCHANGE, operation
from watchtower.exporters.remediation_spans import DerivedIds
from watchtower.vocabulary.endings import COUNTS_AS, CountsAs
from watchtower.vocabulary.facts import Closed, Ending, ExchangeNews, Opened
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.traces import TraceParent, traceparent

MOST_OPEN = 4096
"""Exchanges followed at once; beyond, the oldest leaves no span."""
NOT_TOLD = (Ending.UNOBSERVED, Ending.OURS)
"""Of these we know nothing, or nothing of the engine."""
ERRORS = (CountsAs.FAILURE, CountsAs.CALLERS, CountsAs.TURNED_AWAY)
"""A client's span is an error when the client got one, whoever is to blame."""


class _Followed:
    __slots__ = ("first_token_at", "opened", "parent")

    def __init__(self, parent: TraceParent, opened: Opened) -> None:
        self.parent = parent
        self.opened = opened
        self.first_token_at: float | None = None


class ExchangeTraces:
    """``news`` hears of every exchange, in order."""

    def __init__(self, provider: TracerProvider, ids: DerivedIds, constant: Mapping[str, str | int]) -> None:
        """``constant``: attributes of every span, by our names in ``EXCHANGE`` (provider, address, port)."""
        self._tracer = provider.get_tracer("watchtower")
        self._ids = ids
        self._constant = {EXCHANGE[name]: value for name, value in constant.items()}
        self._followed: dict[str, _Followed] = {}

    def news(self, news: ExchangeNews, now: Instant) -> None:
        followed = self._followed.get(news.id)
        if news.opened is not None:
            if followed is not None:
                followed.opened = news.opened
            elif (parent := traceparent(news.opened.traceparent)) is not None and parent.sampled:
                followed = self._followed[news.id] = _Followed(parent, news.opened)
                if len(self._followed) > MOST_OPEN:
                    del self._followed[next(iter(self._followed))]
        if followed is None:
            return
        if news.first_token_at is not None:
            followed.first_token_at = news.first_token_at
        if news.closed is not None:
            del self._followed[news.id]
            if news.closed.ending not in NOT_TOLD:
                self._record(news.id, followed, news.closed, now)

    def _record(self, id: str, followed: _Followed, closed: Closed, now: Instant) -> None:
        opened, parent = followed.opened, followed.parent
        context = SpanContext(int(parent.trace_id, 16), int(parent.span_id, 16), True, TraceFlags(TraceFlags.SAMPLED))
        self._ids.derive(id, parent.trace_id)
        name = operation(opened.path)
        span = self._tracer.start_span(
            f"{name} {opened.model}".strip(),
            trace.set_span_in_context(NonRecordingSpan(context), Context()),
            SpanKind.CLIENT,
            attributes=self._constant,
            start_time=_wall_ns(opened.at, now),
        )
        known: dict[str, str | int | float | list[str] | None] = {
            "operation": name,
            "model": opened.model or None,
            "stream": opened.stream,
            "status": closed.status or None,
            "prompt_tokens": closed.prompt_tokens if closed.prompt_tokens >= 0 else None,
            "completion_tokens": closed.completion_tokens if closed.completion_tokens >= 0 else None,
            "finish_reason": [closed.finish_reason] if closed.finish_reason else None,
            "first_token_seconds": followed.first_token_at - opened.asked_at if followed.first_token_at else None,
        }
        span.set_attributes({EXCHANGE[key]: value for key, value in known.items() if value is not None})
        if COUNTS_AS[closed.ending] in ERRORS:
            reason = str(closed.status) if closed.status >= 400 else closed.ending.value
            span.set_attribute(EXCHANGE["failure"], reason)
            span.set_status(StatusCode.ERROR, closed.ending.value)
        elif closed.ending is Ending.CLIENT_LEFT:
            span.add_event(closed.ending.value, timestamp=_wall_ns(closed.at, now))
        span.end(_wall_ns(closed.at, now))


def _wall_ns(boot: float, now: Instant) -> int:
    """An instant of the boot clock as Unix time, in nanoseconds."""
    return int((now.wall - (now.boot - boot)) * 1e9)
