"""How relay workers come up with the daemon, and when it goes on without them."""

from __future__ import annotations

from typing import Protocol

import structlog

from watchtower.vocabulary.errors import BadInput, OwnAddress

log = structlog.get_logger("watchtower.relays")


class Startable(Protocol):
    """``RelayPool``, as far as starting goes."""

    async def start(self) -> None:
        """Raises BadInput when clients cannot be listened for."""
        ...


async def start_relays(relays: Startable, *, remembered: bool) -> None:
    """``remembered``: there is a state directory, so our own earlier workers would have been found.

    Without one a taken port may be that of our own earlier worker. People still have to be told of the engine, so the
    daemon goes on, blind. With one, the port is somebody else's: raises BadInput. An engine whose address is the
    relay's own is a mistake in any case: raises OwnAddress."""
    try:
        await relays.start()
    except BadInput as problem:
        if remembered or isinstance(problem, OwnAddress):
            raise
        log.error("relay.not_started", because=str(problem))
