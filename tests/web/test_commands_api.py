"""What a person may order, and what an order must say."""

from __future__ import annotations

import httpx
import pytest

from tests.web.house import PAUSE, House
from watchtower.web.commands_api import COMMANDS


@pytest.mark.parametrize("verb", COMMANDS)
@pytest.mark.parametrize("missing", ["author", "reason"])
async def test_author_and_reason_are_required(house: House, local: httpx.AsyncClient, verb: str, missing: str) -> None:
    for empty in ({}, {missing: ""}, {missing: "  "}, {missing: None}):
        body = {name: value for name, value in PAUSE.items() if name != missing} | empty
        reply = await local.post(f"/api/v1/commands/{verb}", json=body)
        wanted = 200 if verb in ("resume", "bypass_off") and missing == "reason" else 400
        assert reply.status_code == wanted, (empty, reply.text)
    assert bool(house.commands) is (verb in ("resume", "bypass_off") and missing == "reason")


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
        b'{"author": "ann", "reason": "r", "seconds": 1' + b"0" * 400 + b"}",
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
