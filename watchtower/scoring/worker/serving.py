"""The scorer child's loop: one frame of work in, one frame of vectors out, until the daemon lets go of the pipe."""

from __future__ import annotations

import os
import resource
import time
from typing import BinaryIO

import msgspec

from watchtower.clock import boottime
from watchtower.scoring.messages import Done, Ready, ScorerPlan, Work, frame, read_blocking
from watchtower.scoring.worker.encoder import CannotLoad, SentenceEncoder


def serve(incoming: BinaryIO, outgoing: BinaryIO) -> None:
    """Read the plan, load the encoder, answer work. Returns when ``incoming`` ends."""
    plan = msgspec.msgpack.decode(read_blocking(incoming), type=ScorerPlan)

    def say(message: Ready | Done) -> None:
        outgoing.write(frame(message))
        outgoing.flush()

    try:
        encoder = SentenceEncoder(plan)
        encoder.raw(["warm"])
    except CannotLoad as problem:
        say(Ready(trouble=str(problem)))
        return
    say(Ready(encoder=encoder.identity, width=encoder.width, rss_bytes=resident()))
    while body := read_blocking(incoming):
        say(_answer(encoder, msgspec.msgpack.decode(body, type=Work)))


def _answer(encoder: SentenceEncoder, work: Work) -> Done:
    before = time.process_time()
    vectors, pieces, trouble = b"", 0, ""
    try:
        found, pieces = encoder.embed(work.texts)
        vectors = found.tobytes()
    except MemoryError:
        raise  # this process is spent: the daemon starts another
    except Exception as problem:  # a message may quote the text: only its kind leaves
        trouble = type(problem).__name__
    spent = time.process_time() - before
    return Done(id=work.id, vectors=vectors, pieces=pieces, trouble=trouble, cpu_seconds=spent, rss_bytes=resident())


def measure_raw(threads: int, batch: int, incoming: BinaryIO, outgoing: BinaryIO) -> None:
    """For the benchmark: each line a JSON list of texts; answered with the seconds of the library's own ``encode``."""
    encoder = SentenceEncoder(ScorerPlan(threads=threads, batch=batch))
    encoder.raw(["warm"])
    for line in incoming:
        texts = msgspec.json.decode(line, type=list[str])
        before = boottime()
        encoder.raw(texts)
        outgoing.write(f"{boottime() - before}\n".encode())
        outgoing.flush()


def resident() -> int:
    """Resident bytes of this process now."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
