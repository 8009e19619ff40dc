"""``python -m watchtower.programs.simulator``: an inference engine with faults on command, on its own port.

Like a real engine it does not listen while it loads (``--start-seconds``). SIGTERM ends it within a second: requests
in flight end with finish reason ``abort``, as in vLLM; in a hang their connections are cut.
"""

from __future__ import annotations

import argparse
import os
import socket
from pathlib import Path

import uvicorn

from watchtower.clock import SystemClock, boot_id, sleep_blocking
from watchtower.lab.simulator.app import make_app, own_identity
from watchtower.lab.simulator.loop import EngineLoop, Model
from watchtower.vocabulary.errors import ExitCode


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="watchtower.programs.simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", default=Model.name, help="served model name (default: %(default)s)")
    parser.add_argument("--checkpoint", default=Model.checkpoint, help="declared weights (default: %(default)s)")
    parser.add_argument("--ranks", type=int, default=Model.ranks, help="tensor-parallel ranks (default: %(default)s)")
    parser.add_argument("--token-seconds", type=float, default=Model.token_seconds, help="healthy time per token")
    parser.add_argument("--max-batch", type=int, default=Model.max_batch, help="sequences that run at once")
    parser.add_argument("--max-model-len", type=int, default=Model.max_model_len)
    parser.add_argument("--start-seconds", type=float, default=0.5, help="time to load (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=Model.seed, help="of the ranks' jitter")
    parser.add_argument("--fault-file", type=Path, help="where sticky faults survive a restart")
    parser.add_argument("--no-dev-mode", action="store_true", help="without vLLM's dev-mode control routes")
    parsed = parser.parse_args(argv)
    if parsed.ranks < 1 or parsed.max_batch < 1 or parsed.token_seconds <= 0 or parsed.start_seconds < 0:
        parser.error("ranks and max-batch must be at least 1, token-seconds above 0, start-seconds not below 0")
    return parsed


class _Server(uvicorn.Server):
    """uvicorn, with the requests in flight ended as the engine ends them."""

    def __init__(self, config: uvicorn.Config, engine: EngineLoop) -> None:
        super().__init__(config)
        self._engine = engine

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._engine.hung:
            for connection in list(self.server_state.connections):
                connection.transport.abort()
        else:
            self._engine.abort(None)
        await super().shutdown(sockets)


def main(argv: list[str] | None = None) -> int:
    chosen = arguments(argv)
    sleep_blocking(chosen.start_seconds)  # before any handler is set: a signal ends the loading at once
    clock = SystemClock()
    engine = EngineLoop(
        Model(
            name=chosen.model,
            checkpoint=chosen.checkpoint,
            ranks=chosen.ranks,
            token_seconds=chosen.token_seconds,
            max_batch=chosen.max_batch,
            max_model_len=chosen.max_model_len,
            seed=chosen.seed,
        ),
        clock,
        chosen.fault_file,
    )
    app = make_app(
        engine, clock, own_identity(os.getpid(), boot_id(), dict(os.environ)), dev_mode=not chosen.no_dev_mode
    )
    config = uvicorn.Config(
        app,
        host=chosen.host,
        port=chosen.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=75,
    )
    server = _Server(config, engine)
    server.run()
    return ExitCode.OK if server.started else ExitCode.PROBLEM_FOUND


if __name__ == "__main__":
    raise SystemExit(main())
