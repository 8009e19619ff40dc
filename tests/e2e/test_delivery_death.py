"""SIGKILL at every step between "queued" and "settled": nothing is lost, and no notice gets a new id."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from tests.services.delivering.test_deliveries import fates, webhook
from tests.sinks.receiver import HANG, OK, receiving
from tests.storage.samples import opened
from watchtower.services.delivering.deliveries import Deliveries
from watchtower.testing.clock import HandClock

CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.services.delivering.test_deliveries import queue, webhook
from tests.storage.samples import a_notice, opened
from watchtower.services.delivering.deliveries import Deliveries
from watchtower.storage import head
from watchtower.testing.clock import HandClock

directory, url, step = Path(sys.argv[1]), sys.argv[2], sys.argv[3]

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

async def main():
    journal, clock = opened(directory), HandClock()
    await queue(journal, a_notice("ntc-42"))
    if step == "queued":
        die()
    hook = webhook(url, clock)
    if step == "answered":
        journal._on_writer = die
    if step == "settling":  # the transaction is durable, the head file is not yet replaced
        head.replace = die
    await Deliveries(journal, [hook], clock, lambda: 0.0).round("hook")
    die()

asyncio.run(main())
"""
STEPS = {"queued": 0, "sending": 1, "answered": 1, "settling": 1, "settled": 1}
"""Where it dies → how often the receiver had heard of it by then."""


@pytest.mark.parametrize("step", STEPS)
async def test_whatever_was_queued_arrives_with_its_own_id(step: str, tmp_path: Path) -> None:
    async with receiving(*([HANG, OK] if step == "sending" else [OK])) as receiver:
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", CHILD, str(tmp_path), receiver.url(), step)
        if step == "sending":
            async with asyncio.timeout(40):
                while not receiver.requests:  # noqa: ASYNC110  what is awaited sets no event
                    await asyncio.sleep(0.05)
            child.kill()
        assert await asyncio.wait_for(child.wait(), 40) == -signal.SIGKILL
        assert len(receiver.requests) == STEPS[step]
        journal = opened(tmp_path)
        hook = webhook(receiver.url(), HandClock())
        await Deliveries(journal, [hook], HandClock(), lambda: 0.0).round("hook")
        assert journal.pending() == []
        assert await fates(journal) == ["ntc-42 notice.delivered"]
        await hook.close()
        await journal.close()
    again = step in ("sending", "answered")
    assert receiver.ids() == ["ntc-42"] * (2 if again else 1)
