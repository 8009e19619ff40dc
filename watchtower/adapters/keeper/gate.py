"""The engine's first breath: waits for one byte on descriptor 3, then becomes the engine.

Run as a plain file, ``gate.py directory argv…``. The keeper writes this process's identity into its ledger before it
sends the byte, so no engine ever runs that the ledger does not know. If the keeper dies first, the pipe ends without a
byte and nothing was started. Same process afterwards: pid and start time stay.
"""

import os
import signal
import sys

GATE = 3

if __name__ == "__main__":
    if os.read(GATE, 1) != b"g":
        sys.exit(125)
    os.close(GATE)
    directory, *argv = sys.argv[1:]
    try:
        if directory:
            os.chdir(directory)
        # this interpreter ignores them, and what is ignored is inherited
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.execvp(argv[0], argv)
    except OSError as problem:
        print(f"watchtower: the engine could not be started: {problem.strerror}", file=sys.stderr, flush=True)
        sys.exit(127)
