"""Finish reasons that nobody knows are told, each once."""

from __future__ import annotations

from structlog.testing import capture_logs

from watchtower.services.relaying.unknown_finish import MOST_TOLD, UnknownFinish
from watchtower.vocabulary.facts import Closed, Ending, ExchangeNews, RelayFrame, RelayGone


def frame(*endings: Closed | None) -> RelayFrame:
    news = [ExchangeNews(id=str(number), closed=closed) for number, closed in enumerate(endings)]
    return RelayFrame(at=1.0, worker=0, pid=1, sequence=1, open_exchanges=0, news=news)


def closed(reason: str, *, unknown: bool = True) -> Closed:
    return Closed(1.0, Ending.COMPLETE, 200, finish_reason=reason, unknown_finish=unknown)


def test_each_reason_is_told_once_and_those_that_are_known_never() -> None:
    finishes = UnknownFinish()
    with capture_logs() as logs:
        finishes.absorb(frame(closed("stop", unknown=False), closed("sunset"), None))
        finishes.absorb(frame(closed("sunset"), closed("eclipse")))
        finishes.absorb(RelayGone(at=1.0, worker=0, pid=1))

    assert [entry["reason"] for entry in logs] == ["sunset", "eclipse"]


def test_an_engine_that_makes_them_up_does_not_fill_the_log() -> None:
    finishes = UnknownFinish()
    with capture_logs() as logs:
        finishes.absorb(frame(*(closed(f"reason {number}") for number in range(3 * MOST_TOLD))))

    assert len(logs) == MOST_TOLD
