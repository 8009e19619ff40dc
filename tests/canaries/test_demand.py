from watchtower.canaries.demand import STALE_SECONDS, Demand
from watchtower.vocabulary.facts import EngineScrape, ExchangeNews, RelayFrame


def frame(at: float, **more: object) -> RelayFrame:
    return RelayFrame(at=at, worker=0, pid=1, sequence=1, **{"open_exchanges": 0, **more})  # type: ignore[arg-type]


def test_a_queue_at_the_engine_makes_us_wait_until_it_is_gone_or_old_news() -> None:
    demand = Demand(0.0, own=2)
    assert demand.saturated(1.0) == ""
    demand.absorb(EngineScrape(at=1.0, ok=True, waiting=5.0))
    assert demand.saturated(2.0) == "", "one look may see requests that only wait for the next step"
    demand.absorb(EngineScrape(at=2.0, ok=True, waiting=5.0))
    assert "3 requests beside ours wait" in demand.saturated(3.0)
    assert demand.saturated(2.5 + STALE_SECONDS) == ""
    demand.absorb(EngineScrape(at=3.0, ok=True, waiting=2.0))
    assert demand.saturated(4.0) == "", "those are ours"


def test_nobody_asking_for_long_is_idleness() -> None:
    demand = Demand(100.0, own=2)
    demand.absorb(frame(150.0, open_exchanges=1))
    demand.absorb(frame(200.0))
    assert demand.idle(250.0, after=120.0) == ""
    assert "no request of users" in demand.idle(300.0, after=120.0)
    demand.absorb(frame(301.0, news=[ExchangeNews(id="a")]))
    assert demand.idle(302.0, after=120.0) == ""
