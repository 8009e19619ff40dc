"""``python -m watchtower.lab.simulator.brake PID STARTED [--stop-ms 180 --run-ms 20]``: brakes one process.

With both times it stops and continues the process in turn (a slow worker); without, it stops it once (a hung one).
A process of its own, so that the rhythm does not depend on anybody's event loop, and so that the brake comes off
whatever happens to its owner: at end of file on standard input, at SIGTERM, and at any error it sends SIGCONT.
Signals go to a pidfd that was checked against the start time: a reused pid is never hit.
Whether the brake grips is for its owner to see (``faults``).
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys

from watchtower.lab.simulator.procfs import process


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="watchtower.lab.simulator.brake", description=__doc__)
    parser.add_argument("pid", type=int)
    parser.add_argument("started", help="start time in clock ticks since boot: the process that is meant")
    parser.add_argument("--stop-ms", type=float, default=0.0)
    parser.add_argument("--run-ms", type=float, default=0.0)
    chosen = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for our owner, who then closes our standard input
    try:
        pidfd = os.pidfd_open(chosen.pid)
    except ProcessLookupError:
        return 1
    target = process(chosen.pid)
    if target is None or target.started != chosen.started:
        return 1
    try:
        _brake(pidfd, chosen.stop_ms, chosen.run_ms)
    except ProcessLookupError:
        return 0  # the process ended: nothing left to brake
    finally:
        try:
            signal.pidfd_send_signal(pidfd, signal.SIGCONT)
        except ProcessLookupError:
            pass
    return 0


def _brake(pidfd: int, stop_ms: float, run_ms: float) -> None:
    """Until the process or our owner is gone."""
    gone = select.poll()
    gone.register(sys.stdin.fileno(), select.POLLIN | select.POLLHUP)
    gone.register(pidfd, select.POLLIN)
    in_turn = stop_ms > 0 and run_ms > 0
    while True:
        signal.pidfd_send_signal(pidfd, signal.SIGSTOP)
        if gone.poll(stop_ms if in_turn else None):
            return
        signal.pidfd_send_signal(pidfd, signal.SIGCONT)
        if gone.poll(run_ms):
            return


if __name__ == "__main__":
    raise SystemExit(main())
