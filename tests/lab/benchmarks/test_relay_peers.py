"""A small comparison, with whichever peers are installed: every stream whole, every token told, the costs plausible."""

from __future__ import annotations

import msgspec
import pytest

from watchtower.clock import SystemClock
from watchtower.exchanges.dialects import UNREAD_ROUTES
from watchtower.lab.benchmarks.clients import LoadResult
from watchtower.lab.benchmarks.host import this_machine
from watchtower.lab.benchmarks.relay_peers import (
    DIRECT,
    FORWARDING,
    OBSERVING,
    UNREAD_PATH,
    Leg,
    LoadPlan,
    RelayComparison,
    compare,
)


def leg(name: str, round_: int, cpu: float, p99: float, complete: int = 4) -> Leg:
    heard = LoadResult(complete=complete, chunks=40, p50_us=p99 / 2, p99_us=p99, max_us=p99)
    return Leg(name=name, round=round_, streams=4, heard=heard, cpu_us=cpu, rss_bytes=30_000_000, tokens_reported=40)


def comparison(*legs: Leg) -> RelayComparison:
    return RelayComparison(plan=LoadPlan(), machine=this_machine({}), legs=list(legs), missing=[])


def test_ratios_are_taken_inside_a_round_and_then_the_median() -> None:
    found = comparison(
        *(leg(DIRECT, n, 0, 100) for n in (1, 2, 3)),
        *(leg("nginx", n, cpu, 200) for n, cpu in ((1, 10.0), (2, 20.0), (3, 40.0))),
        *(leg(OBSERVING, n, cpu, 250) for n, cpu in ((1, 20.0), (2, 30.0), (3, 40.0))),
    )

    assert found.ratio_cpu(OBSERVING) == 1.5
    assert found.ratio_added_p99(OBSERVING) == 1.5


def test_the_names_in_the_json_are_those_that_others_read() -> None:
    names = {"name", "round", "streams", "heard", "cpu_us", "rss_bytes", "tokens_told"}
    assert set(msgspec.to_builtins(leg(OBSERVING, 1, 20.0, 250))) == names


@pytest.mark.parametrize(
    ("direct", "nginx", "ours"),
    [
        pytest.param(9_000.0, 12_000.0, 10_000.0, id="direct alone is slow"),
        pytest.param(100.0, 101.0, 250.0, id="the peer added nothing that can be told"),
        pytest.param(100.0, 200.0, 90.0, id="ours added less than nothing"),
    ],
)
def test_a_round_in_which_delays_drown_in_noise_says_nothing_of_them(direct: float, nginx: float, ours: float) -> None:
    found = comparison(leg(DIRECT, 1, 0, direct), leg("nginx", 1, 10.0, nginx), leg(OBSERVING, 1, 20.0, ours))

    assert found.ratio_added_p99(OBSERVING) is None
    assert found.ratio_cpu(OBSERVING) == 2.0


def test_a_peer_that_lost_a_stream_is_no_yardstick() -> None:
    found = comparison(leg(DIRECT, 1, 0, 100), leg("nginx", 1, 1.0, 200, complete=3), leg(OBSERVING, 1, 20.0, 250))

    assert found.ratio_cpu(OBSERVING) is None


def test_without_a_peer_ratios_are_unknown_and_a_lost_stream_is_a_miss() -> None:
    budgets = comparison(leg(DIRECT, 1, 0, 100), leg(OBSERVING, 1, 20.0, 250, complete=3)).budgets

    assert [budget.met for budget in budgets] == [None, None, None, True, False, True]
    assert budgets[0].because == "no peer took part"


async def test_a_comparison_from_start_to_end() -> None:
    told: list[str] = []

    found = await compare(LoadPlan(streams=3, rate=20, seconds=0.5, rounds=1), SystemClock(), told.append)

    assert {DIRECT, OBSERVING, FORWARDING} <= set(found.names)
    assert all(leg.whole and leg.heard.chunks == 30 for leg in found.legs)
    assert [leg.tokens_reported for leg in found.of(OBSERVING)] == [30]
    assert [leg.tokens_reported for leg in found.of(FORWARDING)] == [0], "that path is forwarded, not read"
    assert all(leg.cpu_us > 0 and leg.rss_bytes > 0 for leg in found.legs if leg.name != DIRECT)
    assert len(found.names) + len(found.missing) == 5
    assert len(told) == len(found.legs) + len(found.missing)


def test_what_forwarding_alone_costs_is_measured_where_nobody_reads() -> None:
    assert UNREAD_PATH in UNREAD_ROUTES
