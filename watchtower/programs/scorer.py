"""``python -m watchtower.programs.scorer``: the process that embeds texts, for ``watchtower.scoring.scorer_child``.

It yields to everybody: lowest priority, in its session and as one (``watchtower.scheduling``), first choice of the
kernel's out-of-memory killer, and gone with its parent. Its death costs a reading of similarity and nothing else.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress

from watchtower.scheduling import put_last
from watchtower.vocabulary.errors import ExitCode

PR_SET_PDEATHSIG = 1


def main() -> int:
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        return ExitCode.OK
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the daemon's to handle
    put_last()
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")
    # frames have standard output for themselves; whatever a library prints goes to standard error
    outgoing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait must not burn what the engine could use
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")

    # after the environment is set: libraries read it on import
    from watchtower.scoring.worker.serving import measure_raw, serve

    with suppress(BrokenPipeError):
        if sys.argv[1:2] == ["--raw"]:
            measure_raw(int(sys.argv[2]), int(sys.argv[3]), sys.stdin.buffer, outgoing)
        else:
            serve(sys.stdin.buffer, outgoing)
    return ExitCode.OK


if __name__ == "__main__":
    sys.stdout.flush()
    os._exit(main())  # without waiting for a library's threads
