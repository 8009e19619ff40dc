"""``python -m tests.fuzz --seconds 600 --seed 1``: the long run. Exit 1 when something was found."""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import sys
import tempfile
from pathlib import Path

from tests.fuzz.dialects import fuzz_dialects
from tests.fuzz.through_relay import TURN_MILLISECONDS, Fuzz

_IDLE = 5000
_MOST_GROWN_BYTES = 16 * 2**20


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.fuzz")
    asked.add_argument("--seconds", type=float, default=600)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--idle", type=int, default=_IDLE)
    options = asked.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count, raised = fuzz_dialects(random.Random(options.seed), options.seconds / 4)
    with tempfile.TemporaryDirectory(prefix="wt-fuzz-") as directory:
        fuzz = Fuzz(options.seed, Path(directory))
        relay = asyncio.run(fuzz.run(options.seconds * 3 / 4, idle=options.idle))
    print(f"seed {options.seed}: {count:,} answers into dialects, {fuzz.cases:,} connections through the relay,")
    print(f"{fuzz.bytes / 1e6:,.0f} MB for clients, {relay.turns.count:,} turns of ours, {options.idle:,} idle clients")
    took, where = fuzz.longest
    print(f"longest turn {took:.1f} ms of CPU ({where})")
    print(f"memory after the first quarter: {fuzz.grown_bytes / 2**20:+.1f} MiB")
    grown = fuzz.grown_bytes > _MOST_GROWN_BYTES
    for problem in (found := [*raised, *fuzz.wrong])[:50]:
        print(f"found: {problem[:500]}")
    print(f"{len(found)} found{', and memory grew' if grown else ''}")
    return 1 if found or grown or took > TURN_MILLISECONDS else 0


if __name__ == "__main__":
    sys.exit(main())
