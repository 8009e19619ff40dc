"""What the application is connected to in these tests, and what it was asked."""

from __future__ import annotations

from typing import Any

import httpx
from pydantic import SecretStr

from watchtower.board import Board
from watchtower.settings import WebSettings
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.errors import Deadline, StorageFault
from watchtower.web.application import application

TOKEN = "t0ken-of-the-on-call-engineer"
PAUSE = {"author": "ann", "reason": "deploying", "seconds": 60}


class References:
    """Says what it was asked; refuses, when told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []
        self.problem: Exception | None = None

    def _said(self, *what: object) -> dict[str, Any]:
        self.asked.append(what)
        if self.problem:
            raise self.problem
        return {"said": what[0]}

    def list(self) -> dict[str, Any]:
        return self._said("list")

    def show(self, id: str) -> dict[str, Any]:
        return self._said("show", id)

    def export(self, id: str) -> bytes:
        self._said("export", id)
        return b'{"format": 1}'

    def capture(self, repeats: int = 0, *, meant: bool = False) -> dict[str, Any]:
        return self._said("capture", repeats, *(["meant"] if meant else []))

    def pick(self, count: int) -> dict[str, Any]:
        return self._said("pick", count)

    def retire(self, id: str) -> dict[str, Any]:
        return self._said("retire", id)

    def import_set(self, document: bytes, name: str) -> dict[str, Any]:
        return self._said("import", document)


class House:
    """What the application is connected to, and what it was told."""

    def __init__(self) -> None:
        clock = HandClock()
        self.board = Board(
            target="engine", version="1", mode="observe", profile="safe", started=clock.now(), ready_because=""
        )
        self.board.incidents = [{"id": f"inc-{n}", "title": "slow"} for n in (3, 2, 1)]
        self.board.actions = [{"op_id": "op-1", "incident": "inc-2"}, {"op_id": "op-2", "incident": "inc-1"}]
        self.clock = clock
        self.commands: list[tuple[str, str, str, float]] = []
        self.refuses = ""
        self.hangs = False
        self.journal_fault = ""
        self.dead_because = ""
        self.references = References()

    async def command(self, verb: str, author: str, reason: str, seconds: float) -> str:
        self.commands.append((verb, author, reason, seconds))
        if self.hangs:
            raise Deadline("not yet carried out")
        return self.refuses

    async def timeline(self, incident: str) -> list[dict[str, Any]]:
        if self.journal_fault:
            raise StorageFault(self.journal_fault)
        return [{"seq": 1, "kind": "incident.open", "wall": 0.0, "op_id": "", "body": {"incident": incident}}]

    def client(self, *, local: bool = False, token: str = TOKEN) -> httpx.AsyncClient:
        app = application(
            board=self.board,
            clock=self.clock,
            settings=WebSettings(token=SecretStr(token) if token else None),
            render_metrics=lambda accept: (f"# for {accept}\n".encode(), "text/x-test"),
            timeline=self.timeline,
            command=self.command,
            healthy=lambda: self.dead_because,
            references=self.references,
            local=local,
        )
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9470")
