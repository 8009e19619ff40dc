"""What the HTTP face answers, and to whom."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from watchtower.board import Board
from watchtower.settings import WebSettings
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.errors import BadInput, Deadline, Problem, Refused, StorageFault
from watchtower.web.application import COMMANDS, application

TOKEN = "t0ken-of-the-on-call-engineer"
PAUSE = {"author": "ann", "reason": "deploying", "seconds": 60}
READS = ("/", "/assets/console.js", "/assets/console.css", "/metrics", "/-/healthy", "/-/ready")
API_READS = ("status", "incidents", "incidents/inc-2", "actions")


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

    def take_in(self, document: bytes, name: str) -> dict[str, Any]:
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


@pytest.fixture
def house() -> House:
    return House()


@pytest_asyncio.fixture
async def tcp(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with house.client() as client:
        yield client


@pytest_asyncio.fixture
async def local(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with house.client(local=True) as client:
        yield client


@pytest.mark.parametrize("path", [*READS, *(f"/api/v1/{name}" for name in API_READS)])
async def test_reads_are_open(tcp: httpx.AsyncClient, path: str) -> None:
    assert (await tcp.get(path)).status_code == 200


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", f"bearer {TOKEN}", TOKEN])
async def test_changes_over_tcp_without_the_token_are_refused(house: House, tcp: httpx.AsyncClient, given: str) -> None:
    reply = await tcp.post("/api/v1/commands/pause", json=PAUSE, headers={"authorization": given})
    assert reply.status_code == 403
    assert "Authorization: Bearer" in reply.json()["error"]
    assert house.commands == []


async def test_without_a_configured_token_no_header_opens_tcp(house: House) -> None:
    async with house.client(token="") as client:
        for given in ("", "Bearer ", "Bearer None"):
            reply = await client.post("/api/v1/commands/pause", json=PAUSE, headers={"authorization": given})
            assert (reply.status_code, house.commands) == (403, [])
        assert "on this machine" in reply.json()["error"]


async def test_a_header_of_no_ascii_is_refused_and_not_a_failure(house: House, tcp: httpx.AsyncClient) -> None:
    reply = await tcp.post("/api/v1/commands/pause", json=PAUSE, headers=[(b"authorization", b"Bearer \xff\xfe")])
    assert reply.status_code == 403


async def test_the_token_opens_tcp(house: House, tcp: httpx.AsyncClient) -> None:
    reply = await tcp.post("/api/v1/commands/pause", json=PAUSE, headers={"authorization": f"Bearer {TOKEN}"})
    assert (reply.status_code, reply.json()) == (200, {"done": "pause"})
    assert house.commands == [("pause", "ann", "deploying", 60.0)]


async def test_the_local_face_needs_no_token(house: House, local: httpx.AsyncClient) -> None:
    assert (await local.post("/api/v1/commands/ack-resolve", json=PAUSE)).status_code == 200
    assert house.commands[0][0] == "ack_resolve"


@pytest.mark.parametrize("verb", COMMANDS)
@pytest.mark.parametrize("missing", ["author", "reason"])
async def test_author_and_reason_are_required(house: House, local: httpx.AsyncClient, verb: str, missing: str) -> None:
    for empty in ({}, {missing: ""}, {missing: "  "}, {missing: None}):
        body = {name: value for name, value in PAUSE.items() if name != missing} | empty
        reply = await local.post(f"/api/v1/commands/{verb}", json=body)
        wanted = 200 if (verb, missing) == ("resume", "reason") else 400
        assert reply.status_code == wanted, (empty, reply.text)
    assert bool(house.commands) is ((verb, missing) == ("resume", "reason"))


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"null",
        b'"pause"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"author": "ann", "reason": "r", "seconds": "soon"}',
        b'{"author": "ann", "reason": "r", "seconds": [1]}',
        b'{"author": "ann", "reason": "r", "seconds": NaN}',
        b'{"author": "ann", "reason": "r", "seconds": Infinity}',
        b'{"author": "ann", "reason": "r", "seconds": -5}',
        b'{"author": "ann", "reason": "r"}',
        b'{"author": "ann", "reason": "' + b"r" * 501 + b'", "seconds": 5}',
    ],
)
async def test_a_body_that_makes_no_sense_is_the_senders_mistake(
    house: House, local: httpx.AsyncClient, body: bytes
) -> None:
    reply = await local.post("/api/v1/commands/pause", content=body)
    assert (reply.status_code, house.commands) == (400, [])
    assert reply.json()["error"]


async def test_a_command_that_the_machine_refuses_says_why(house: House, local: httpx.AsyncClient) -> None:
    house.refuses = "nothing is paused"
    reply = await local.post("/api/v1/commands/resume", json={"author": "ann"})
    assert (reply.status_code, reply.json()) == (409, {"error": "nothing is paused"})


async def test_a_command_whose_fate_is_not_known_is_no_success(house: House, local: httpx.AsyncClient) -> None:
    house.hangs = True
    reply = await local.post("/api/v1/commands/pause", json=PAUSE)
    assert (reply.status_code, reply.json()) == (503, {"error": "not yet carried out"})


async def test_an_unknown_command_lists_the_known_ones(local: httpx.AsyncClient) -> None:
    reply = await local.post("/api/v1/commands/reboot", json=PAUSE)
    assert reply.status_code == 404
    assert all(verb in reply.json()["error"] for verb in COMMANDS)


async def test_commands_are_not_for_get(local: httpx.AsyncClient) -> None:
    assert (await local.get("/api/v1/commands/pause")).status_code == 405


async def test_an_incident_comes_with_its_actions_and_its_records(tcp: httpx.AsyncClient) -> None:
    answer = (await tcp.get("/api/v1/incidents/inc-2")).json()
    assert answer["incident"]["id"] == "inc-2"
    assert [action["op_id"] for action in answer["actions"]] == ["op-1"]
    assert [record["body"]["incident"] for record in answer["records"]] == ["inc-2"]


async def test_an_unknown_incident_is_answered_with_the_newest_ids(tcp: httpx.AsyncClient) -> None:
    reply = await tcp.get("/api/v1/incidents/inc-9")
    assert reply.status_code == 404
    assert reply.json()["error"].endswith("inc-3, inc-2, inc-1")


async def test_a_journal_that_cannot_be_read_does_not_hide_the_incident(house: House, tcp: httpx.AsyncClient) -> None:
    house.journal_fault = "the journal cannot be read (SQLITE_IOERR)"
    reply = await tcp.get("/api/v1/incidents/inc-2")
    assert reply.status_code == 200
    assert reply.json()["records_because"] == house.journal_fault


async def test_health_and_readiness_say_why_not(house: House, tcp: httpx.AsyncClient) -> None:
    assert (await tcp.get("/-/healthy")).text == "ok"
    house.dead_because, house.board.ready_because = "no evaluation for 12 s", "no relay worker has reported yet"
    healthy, ready = await tcp.get("/-/healthy"), await tcp.get("/-/ready")
    assert (healthy.status_code, healthy.text) == (503, "no evaluation for 12 s")
    assert (ready.status_code, ready.text) == (503, "no relay worker has reported yet")


async def test_metrics_follow_the_accept_header(tcp: httpx.AsyncClient) -> None:
    reply = await tcp.get("/metrics", headers={"accept": "application/openmetrics-text"})
    assert reply.text == "# for application/openmetrics-text\n"
    assert reply.headers["content-type"] == "text/x-test"


@pytest.mark.parametrize("path", ["/", "/assets/console.js", "/assets/console.css"])
async def test_the_console_may_load_only_itself(tcp: httpx.AsyncClient, path: str) -> None:
    headers = (await tcp.get(path)).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["form-action"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


async def test_the_console_has_no_inline_script_or_style(tcp: httpx.AsyncClient) -> None:
    page = (await tcp.get("/")).text
    assert "<script src=" in page
    assert "<style" not in page and "style=" not in page and " onclick" not in page
    script = (await tcp.get("/assets/console.js")).text
    assert "innerHTML" not in script and "eval(" not in script


@pytest.mark.parametrize("name", ["nope.js", "application.py", "..%2fapplication.py", "%2e%2e/server.py"])
async def test_only_the_listed_assets_are_served(tcp: httpx.AsyncClient, name: str) -> None:
    assert (await tcp.get(f"/assets/{name}")).status_code == 404


async def test_status_is_json_that_any_reader_can_parse(tcp: httpx.AsyncClient) -> None:
    def no_constant(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    status = json.loads((await tcp.get("/api/v1/status")).text, parse_constant=no_constant)
    assert (status["target"], status["ready"], status["storage_fault"]) == ("engine", True, "")


async def test_the_console_finds_the_latency_of_the_last_minutes_and_unknown_is_a_gap(
    house: House, tcp: httpx.AsyncClient
) -> None:
    for second in range(400):
        house.board.latency.append((float(second), None if second == 399 else 0.03))
    points = (await tcp.get("/api/v1/latency")).json()["seconds"]
    assert len(points) == 300
    assert points[-1] == {"wall": 399.0, "p95": None}
    assert points[0] == {"wall": 100.0, "p95": 0.03}


async def test_references_are_listed_shown_captured_retired_exported_and_imported(house: House) -> None:
    async with house.client(local=True) as client:
        assert (await client.get("/api/v1/references")).json() == {"said": "list"}
        await client.get("/api/v1/references/show?id=ref-1")
        await client.post("/api/v1/references/capture?repeats=4")
        await client.post("/api/v1/references/capture?meant=true")
        await client.post("/api/v1/references/retire?id=ref-1")
        assert (await client.get("/api/v1/references/export?id=ref-1")).json() == {"format": 1}
        await client.post("/api/v1/references/import", content=b"{}")
        assert (await client.post("/api/v1/references/sharpen")).status_code == 404
        assert (await client.post("/api/v1/references/capture?repeats=2")).status_code == 400
    assert house.references.asked == [
        ("list",),
        ("show", "ref-1"),
        ("capture", 4),
        ("capture", 0, "meant"),
        ("retire", "ref-1"),
        ("export", "ref-1"),
        ("import", b"{}"),
    ]


async def test_questions_of_users_are_shown_to_the_local_face_or_with_the_token_alone(house: House) -> None:
    async with house.client() as client:
        stranger = await client.get("/api/v1/references/pick?count=3")
        known = await client.get("/api/v1/references/pick?count=3", headers={"authorization": f"Bearer {TOKEN}"})
        nonsense = await client.get("/api/v1/references/pick?count=0", headers={"authorization": f"Bearer {TOKEN}"})
    async with house.client(local=True) as client:
        beside = await client.get("/api/v1/references/pick?count=4")
    assert [answer.status_code for answer in (stranger, known, nonsense, beside)] == [403, 200, 400, 200]
    assert house.references.asked == [("pick", 3), ("pick", 4)]


@pytest.mark.parametrize("path", ["references/capture", "references/retire?id=x", "references/import"])
async def test_references_are_changed_over_tcp_with_the_token_alone(house: House, path: str) -> None:
    async with house.client() as client:
        assert (await client.post(f"/api/v1/{path}")).status_code == 403
        assert (await client.get("/api/v1/references/export")).status_code == 403, "it holds answers"
        assert house.references.asked == []
        headers = {"authorization": f"Bearer {TOKEN}"}
        assert (await client.post(f"/api/v1/{path}", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("problem", "status"),
    [
        (Refused("a capture is under way"), 409),
        (StorageFault("disk"), 503),
        (BadInput([Problem("f", "", "x", "y")]), 400),
    ],
)
async def test_a_refusal_of_the_references_keeps_its_reason(house: House, problem: Exception, status: int) -> None:
    house.references.problem = problem
    async with house.client(local=True) as client:
        reply = await client.post("/api/v1/references/capture")
    assert reply.status_code == status and reply.json()["error"] == str(problem)
