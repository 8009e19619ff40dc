"""A taken port ends the start, unless it may be our own worker's that nobody remembers."""

from __future__ import annotations

import pytest

from watchtower.services.relaying.starting import start_relays
from watchtower.vocabulary.errors import BadInput, Problem


class Taken:
    async def start(self) -> None:
        raise BadInput([Problem("configuration", "relay.listen", "cannot listen", "choose another port")])


async def test_a_port_of_somebody_else_ends_the_start() -> None:
    with pytest.raises(BadInput):
        await start_relays(Taken(), remembered=True)


async def test_without_a_memory_the_daemon_goes_on_blind() -> None:
    await start_relays(Taken(), remembered=False)
