"""Mutilated answers straight into dialects: whatever comes, nothing but ProtocolFault is raised."""

from __future__ import annotations

import random
import time

from tests.fuzz.inputs import answers, extremes, mutilated
from watchtower.exchanges.dialects import DIALECTS
from watchtower.exchanges.exchange import ExchangeTable
from watchtower.vocabulary.errors import ProtocolFault

_TYPES = ("", "text/event-stream", "application/json", "application/x-ndjson", "text/plain", "audio/mpeg", "x")


def fuzz_dialects(rng: random.Random, seconds: float, most: int = 10**9) -> tuple[int, list[str]]:
    """(answers that were read, what was raised)."""
    table, kept = ExchangeTable("0.1"), answers()
    bodies = [answer.wire.partition(b"\r\n\r\n")[2] for answer in kept]
    bodies += [body[:30_000] for answer in extremes() if (body := answer.wire.partition(b"\r\n\r\n")[2])]
    raised: list[str] = []
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end and count < most:
        dialect, body = rng.choice(DIALECTS), rng.choice(bodies)
        if rng.random() < 0.5:  # without its chunks' sizes
            body = b"\n".join(line for line in body.split(b"\r\n") if len(line) > 8)
        body = mutilated(rng, body)
        exchange = table.begin(count, dialect.routes[0])
        try:
            dialect.describe(exchange, body[: rng.randrange(1, 5000)])
            reader, at = dialect.open(exchange, rng.choice(_TYPES)), 0
            while reader is not None and at < len(body):
                size = rng.choice((1, 30, 300, 5000))
                reader.feed(body[at : at + size])
                at += size
                if exchange.fresh:
                    exchange.tokens_read(count + at)
            if reader is not None:
                reader.finish() if rng.random() < 0.5 else reader.cut()
                ending = reader.ending()
                if ending is not None:
                    exchange.close(ending, count + at)
        except ProtocolFault:
            pass
        except Exception as defect:  # that is what is looked for
            raised.append(f"{dialect.name}: {defect!r}: {body[:200]!r}")
        table.open.clear()
        table.drain()
        count += 1
    return count, raised
