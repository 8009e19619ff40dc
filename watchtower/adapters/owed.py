"""The calls that the adapter child owes an answer: each waits for a result of its id, or for the child's end."""

from __future__ import annotations

import asyncio

import msgspec

from watchtower.adapters.calls import Result
from watchtower.vocabulary.errors import ProtocolFault


class Owed:
    """Of one child at a time: when it is given up, everything it owes fails."""

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[msgspec.Raw]] = {}

    def by(self, id: int) -> asyncio.Future[msgspec.Raw]:
        """The answer to call ``id``. Awaiting it raises ProtocolFault when none will come."""
        answer = self._waiting[id] = asyncio.get_running_loop().create_future()
        return answer

    def forget(self, id: int) -> None:
        """Nobody waits for it any more."""
        self._waiting.pop(id, None)

    def settle(self, result: Result) -> None:
        answer = self._waiting.pop(result.id, None)
        if answer is None or answer.done():
            return  # nobody waits any more
        if result.trouble:
            answer.set_exception(ProtocolFault(f"the adapter failed: {result.trouble}"[:300]))
        else:
            answer.set_result(result.value)

    def fail(self, because: str) -> None:
        """No answer will come any more."""
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ProtocolFault(because))
        self._waiting.clear()
