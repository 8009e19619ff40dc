"""The gpu child: the one process that calls into the NVIDIA driver, so that only it can be wedged by it.

    python -m watchtower.programs.gpu '<GpuPlan as JSON>'

One report per line (JSON) on standard output, about once a second; an empty line is a mere sign of life. A line
``stop``, or the end of standard input, makes it close NVML and end: letting go of the GPUs *is* the end of this
process, because only that surely leaves nothing open. It ends with ``AGAIN`` when NVML needs a new process.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from queue import Empty, Queue
from threading import Event, Lock, Thread

import msgspec

from watchtower.clock import SystemClock
from watchtower.hardware.gpu_plan import AGAIN, STOP, GpuPlan, read_plan
from watchtower.hardware.nvml import NvmlSource
from watchtower.hardware.nvml.source import wedged
from watchtower.vocabulary.errors import BadInput, ExitCode
from watchtower.vocabulary.facts import GpuReport

PR_SET_PDEATHSIG = 1
STOP_SECONDS = 3.0
"""How long closing NVML may take; then the process ends without it."""


class Output:
    """Whole lines on standard output, from two threads."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._writing = Lock()
        self._encoder = msgspec.json.Encoder()

    def report(self, report: GpuReport) -> None:
        self._write(self._encoder.encode(report) + b"\n")

    def sign_of_life(self) -> None:
        self._write(b"\n")

    def _write(self, line: bytes) -> None:
        with self._writing:
            while line:
                line = line[os.write(self._descriptor, line) :]


class Poll:
    """Looks and reports, until stopped; the only thread that reads GPUs."""

    def __init__(self, plan: GpuPlan, output: Output) -> None:
        self._plan = plan
        self._clock = SystemClock()
        self._source = NvmlSource(plan, self._clock)
        self._output = output
        self._orders: Queue[None] = Queue()
        self._ended = Event()

    def start(self) -> None:
        Thread(target=self._run, name="poll", daemon=True).start()
        Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """Ask it to close NVML, and wait for that, but not for ever."""
        self._orders.put(None)
        self._ended.wait(STOP_SECONDS)

    def _run(self) -> None:
        try:
            at = self._clock.now().boot
            while True:
                self._output.report(self._source.look())
                if self._source.spent():
                    _end(AGAIN)
                at = max(at + self._plan.poll_seconds, self._clock.now().boot)
                if self._stopped_before(at):
                    break
            self._source.close()
        except BrokenPipeError:
            _end(ExitCode.OK)  # nobody listens any more
        except Exception:
            # a thread that dies unseen would leave a process that only breathes
            sys.excepthook(*sys.exc_info())
            _end(ExitCode.PROBLEM_FOUND)
        self._ended.set()

    def _stopped_before(self, at: float) -> bool:
        try:
            self._orders.get(timeout=max(0.0, at - self._clock.now().boot))
        except Empty:
            return False
        return True

    def _watch(self) -> None:
        """While the poll is inside the driver it can say nothing; this says so in its place."""
        while not self._ended.wait(self._plan.poll_seconds):
            under_way = self._source.overdue()
            if under_way is not None:
                self._output.report(wedged(under_way, self._clock.now().boot))
            else:
                self._output.sign_of_life()


def main() -> int:
    _die_with_parent()
    # reports have standard output for themselves; whatever a library prints goes to standard error
    output = Output(os.dup(1))
    os.dup2(2, 1)
    try:
        plan = read_plan(sys.argv[1] if len(sys.argv) == 2 else "")
    except BadInput as problem:
        print(problem, file=sys.stderr)
        return problem.exit_code
    poll = Poll(plan, output)
    poll.start()
    for line in sys.stdin.buffer:
        if line.strip() == STOP:
            break
    poll.stop()
    return ExitCode.OK


def _die_with_parent() -> None:
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died in between
        os.kill(os.getpid(), signal.SIGKILL)


def _end(code: int) -> None:
    """Without waiting for threads: one may be inside the driver for good."""
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _end(main())
