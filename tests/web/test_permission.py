"""Who may change things."""

from __future__ import annotations

import httpx
import pytest

from tests.web.house import PAUSE, TOKEN, House


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
