"""Waiting for what sets no event: plain values of the product, looked at again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Return once ``condition`` holds. Raises TimeoutError after ``seconds``."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  (there is no event)
            await asyncio.sleep(0.01)
