"""First tokens beside busy sessions: every way is asked as often; the budget is about the relay as it is started."""

from __future__ import annotations

import pytest

from tests.strangers import needs_root
from watchtower.clock import SystemClock
from watchtower.lab.benchmarks.busy_host import AS_ANY, DIRECT, SERVED_FIRST, BusyHost, FirstTokens, measure_busy_host
from watchtower.lab.benchmarks.host import this_machine
from watchtower.lab.benchmarks.relay_peers import LoadPlan


def found(*ways: tuple[str, list[float]]) -> BusyHost:
    tokens = [FirstTokens(name=name, milliseconds=values) for name, values in ways]
    return BusyHost(machine=this_machine({}), streams=2, ways=tokens)


@pytest.mark.parametrize(("taken", "met"), [([5.0, 6.0, 90.0], True), ([6.0, 6.5, 7.0], False)])
def test_the_budget_is_the_median_beyond_direct_of_the_relay_that_is_put_first(taken: list[float], met: bool) -> None:
    host = found((DIRECT, [1.0, 1.25, 9.0]), (SERVED_FIRST, taken), (AS_ANY, [50.0] * 3))
    (budget,) = host.budgets
    assert (budget.measured, budget.met) == (taken[1] - 1.25, met)
    assert host.added_ms(AS_ANY) == 48.75
    assert host.ways[0].at(0.5) == 1.25


@needs_root
@pytest.mark.timeout(60)
async def test_a_real_run_asks_in_turn_and_says_what_is_in_force() -> None:
    said: list[str] = []
    host = await measure_busy_host(LoadPlan(streams=2, rate=20, seconds=0.5, rounds=1), SystemClock(), said.append)
    assert [way.name for way in host.ways] == [DIRECT, SERVED_FIRST, AS_ANY]
    (asked,) = {len(way.milliseconds) for way in host.ways}
    assert asked >= 1
    first, any_other = host.ways[1:]
    assert "nice -10" in first.share and "nice -10" not in any_other.share
    assert first.ran_ms > 0 and all(value > 0 for way in host.ways for value in way.milliseconds)
    assert len(said) == 1
