"""References over HTTP: looked at, changed, refused."""

from __future__ import annotations

import pytest

from tests.web.house import TOKEN, House
from watchtower.vocabulary.errors import BadInput, Problem, Refused, StorageFault


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


@pytest.mark.parametrize("number", ["", "many", "-1", "2.5", "\u00b2", "9" * 5000])
async def test_a_number_that_is_none_is_the_senders_mistake(house: House, number: str) -> None:
    async with house.client(local=True) as client:
        asked = await client.get("/api/v1/references/pick", params={"count": number})
        begun = await client.post("/api/v1/references/capture", params={"repeats": number or "x"})
    assert (asked.status_code, begun.status_code, house.references.asked) == (400, 400, [])


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
