"""A taken port ends the start, unless it may be our own worker's that nobody remembers."""

from __future__ import annotations

import pytest

from watchtower.services.relaying.starting import start_relays
from watchtower.vocabulary.errors import BadInput, OwnAddress, Problem


class Taken:
    async def start(self) -> None:
        raise BadInput([Problem("configuration", "relay.listen", "cannot listen", "choose another port")])


async def test_a_port_of_somebody_else_ends_the_start() -> None:
    with pytest.raises(BadInput):
        await start_relays(Taken(), remembered=True)


async def test_without_a_memory_the_daemon_goes_on_blind() -> None:
    await start_relays(Taken(), remembered=False)


class Itself:
    async def start(self) -> None:
        raise OwnAddress([Problem("", "engine.url", "it is our own", "name another")])


@pytest.mark.parametrize("remembered", [True, False])
async def test_an_engine_that_is_the_relay_itself_ends_the_start_in_any_case(remembered: bool) -> None:
    with pytest.raises(OwnAddress):
        await start_relays(Itself(), remembered=remembered)
