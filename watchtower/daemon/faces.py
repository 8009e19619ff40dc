"""The daemon's two faces, the web and the local socket: one application over the same board and services.

Only the local one takes commands without a token: who may open the socket may also kill the daemon.
"""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette

from watchtower.daemon.display import DaemonDisplay
from watchtower.daemon.parts import Parts
from watchtower.exporters.gpu_metrics import GpuCollector
from watchtower.exporters.prometheus import PROCESS, BoardCollector, Exposition
from watchtower.ports import Clock, Journal
from watchtower.remediation.interface import Commanded
from watchtower.settings import WebSettings
from watchtower.web.application import application

MOST_RECORDS = 5000
"""Of one incident, shown at once."""


def face(
    settings: WebSettings, *, display: DaemonDisplay, clock: Clock, journal: Journal, parts: Parts, local: bool
) -> Starlette:
    async def timeline(incident: str) -> list[dict[str, Any]]:
        return [
            {"seq": row.seq, "wall": row.wall, "kind": row.kind, "op_id": row.op_id, "body": row.body}
            for row in await journal.read(incident=incident, limit=MOST_RECORDS)
        ]

    async def command(verb: str, author: str, reason: str, seconds: float) -> str:
        if verb in ("bypass", "bypass_off"):  # it must work while the machine or the journal does not
            return parts.bypassing.order(verb == "bypass", author, reason)
        return await parts.runner.command(Commanded(verb=verb, author=author, reason=reason, seconds=seconds))

    board = display.board
    return application(
        board=board,
        clock=clock,
        settings=settings,
        render_metrics=Exposition([BoardCollector(board), GpuCollector(board), PROCESS]).render,
        timeline=timeline,
        command=command,
        healthy=parts.heartbeat.because,
        references=parts.references,
        local=local,
    )
