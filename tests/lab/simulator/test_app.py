import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from watchtower.lab.simulator import language
from watchtower.lab.simulator.app import Identity, make_app
from watchtower.lab.simulator.loop import EngineLoop, Model
from watchtower.tasks import TaskGroup
from watchtower.testing.clock import HandClock

CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    clock = HandClock()
    engine = EngineLoop(Model(), clock)
    tasks = TaskGroup(clock.sleep)
    tasks.start("engine", engine.run, restart_after=None)
    app = make_app(engine, clock, Identity(4242, "17", "test-boot", "op-9", "slow_tokens"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://engine") as client:
        yield client
    await tasks.stop()


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


async def test_a_streamed_chat_says_the_same_as_a_whole_one(client: httpx.AsyncClient) -> None:
    whole = (await client.post("/v1/chat/completions", json=CHAT)).json()
    streamed = await client.post("/v1/chat/completions", json={**CHAT, "stream": True})
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert streamed.text.endswith("data: [DONE]\n\n")
    pieces = [event["choices"][0]["delta"].get("content", "") for event in events(streamed.text)]
    assert "".join(pieces) == whole["choices"][0]["message"]["content"]


async def test_completions_stream_too(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/completions", json={"prompt": "hello", "max_tokens": 3, "stream": True})
    assert [event["choices"][0]["finish_reason"] for event in events(answer.text)] == [None, None, "length"]


async def test_a_bad_request_gets_the_openai_error_shape(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/chat/completions", content=b"nonsense")
    assert answer.status_code == 400 and answer.json()["error"]["code"] == 400


async def test_health_stays_green_in_a_hang_and_the_running_gauge_reads_zero(client: httpx.AsyncClient) -> None:
    assert (await client.post("/sim/fault", json={"kind": "hang", "rank": 1})).status_code == 200
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.post("/v1/chat/completions", json=CHAT), 0.05)
    assert (await client.get("/health")).status_code == 200
    assert 'vllm:num_requests_running{engine="0",model_name="tiny"} 0.0' in (await client.get("/metrics")).text


async def test_state_proves_the_fault_and_names_the_process_and_its_reason(client: httpx.AsyncClient) -> None:
    await client.post("/sim/fault", json={"kind": "slow", "factor": 10, "rank": 2})
    await client.post("/v1/chat/completions", json=CHAT)
    state = (await client.get("/sim/state")).json()
    assert state["last_step_seconds"][2] > 5 * state["last_step_seconds"][0]
    assert state["fault"]["kind"] == "slow" and state["fault_since"] == 1000.0
    assert (state["pid"], state["started"], state["op_id"], state["reason"]) == (4242, "17", "op-9", "slow_tokens")


@pytest.mark.parametrize("fault", [{"kind": "slow", "rank": 9}, {"kind": "flood"}, {"kind": "hang", "rnak": 1}])
async def test_a_fault_that_makes_no_sense_changes_nothing(client: httpx.AsyncClient, fault: dict[str, Any]) -> None:
    assert (await client.post("/sim/fault", json=fault)).status_code == 400
    assert (await client.get("/sim/state")).json()["fault"]["kind"] == "none"


async def test_reloading_other_weights_changes_answers_and_checksums_and_back(client: httpx.AsyncClient) -> None:
    async def look() -> tuple[Any, Any]:
        checksums = (await client.post("/weight_checker", json={"action": "checksum"})).json()
        return (await client.post("/v1/chat/completions", json=CHAT)).json()["choices"], checksums

    async def reload(path: str) -> None:
        call = {"method": "reload_weights", "kwargs": {"weights_path": path}}
        assert (await client.post("/collective_rpc", json=call)).json() == {"results": [None] * 4}

    good = await look()
    await reload("other")
    other = await look()
    assert other[0] != good[0] and other[1] != good[1]
    await reload("tiny-good")
    assert await look() == good


async def test_a_paused_engine_refuses_with_503_until_resumed(client: httpx.AsyncClient) -> None:
    await client.post("/pause")
    assert (await client.get("/is_paused")).json() == {"is_paused": True}
    refused = await client.post("/v1/chat/completions", json=CHAT)
    assert refused.status_code == 503 and refused.json()["error"]["code"] == 503
    await client.post("/resume")
    assert (await client.post("/v1/chat/completions", json=CHAT)).status_code == 200


async def test_a_malformed_control_body_is_a_400_and_no_exception(client: httpx.AsyncClient) -> None:
    assert (await client.post("/collective_rpc", content=b"[")).status_code == 400
    assert (await client.post("/weight_checker", json={"action": "reset"})).status_code == 400


async def test_without_dev_mode_there_is_no_control() -> None:
    clock = HandClock()
    app = make_app(EngineLoop(Model(), clock), clock, Identity(1, "1", "b"), dev_mode=False)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://engine") as client:
        assert (await client.post("/pause")).status_code == 404
        assert (await client.get("/health")).status_code == 200


async def forced(client: httpx.AsyncClient, token_ids: list[int]) -> list[float]:
    """Log-probabilities of ``token_ids`` after the first."""
    body = {"prompt": token_ids, "max_tokens": 1, "prompt_logprobs": 0, "cache_salt": "fresh"}
    entries = (await client.post("/v1/completions", json=body)).json()["choices"][0]["prompt_logprobs"]
    assert entries[0] is None and [list(entry) for entry in entries[1:]] == [[str(token)] for token in token_ids[1:]]
    return [next(iter(entry.values()))["logprob"] for entry in entries[1:]]


async def whole(client: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = (await client.post("/v1/chat/completions", json={**CHAT, **more})).json()
    return answer


async def test_a_teacher_forced_answer_is_exact_and_moves_a_lot_with_other_weights(client: httpx.AsyncClient) -> None:
    said = await whole(client, return_token_ids=True)
    tokens = said["prompt_token_ids"] + said["choices"][0]["token_ids"]
    before = await forced(client, tokens)
    assert await forced(client, tokens) == before

    async def shift(**fault: Any) -> float:
        await client.post("/sim/fault", json={"kind": "none"})
        assert (await client.post("/sim/fault", json=fault)).status_code == 200
        now = await forced(client, tokens)
        return sum(abs(a - b) for a, b in zip(now, before, strict=True)) / len(now)

    assert await shift(kind="drift", checkpoint="other") > 0.4
    assert 0.01 < await shift(kind="numerics") < 0.12
    assert await shift(kind="kv_cache") == 0
    assert await shift(kind="template") == 0


async def test_corrupted_blocks_harm_only_what_was_cached_under_the_same_salt(client: httpx.AsyncClient) -> None:
    good = (await whole(client, cache_salt="a"))["choices"]
    await client.post("/sim/fault", json={"kind": "kv_cache"})
    assert (await whole(client, cache_salt="b"))["choices"] == good
    assert (await whole(client, cache_salt="a"))["choices"] != good


async def test_weights_loaded_without_a_reset_answer_from_stale_blocks(client: httpx.AsyncClient) -> None:
    await whole(client)
    call = {"method": "reload_weights", "kwargs": {"weights_path": "other"}}
    await client.post("/collective_rpc", json=call)
    stale = (await whole(client))["choices"]
    await client.post("/reset_prefix_cache")
    assert (await whole(client))["choices"] != stale


async def test_another_template_shows_in_the_prompts_tokens_of_chats_alone(client: httpx.AsyncClient) -> None:
    before = (await whole(client, return_token_ids=True))["prompt_token_ids"]
    await client.post("/sim/fault", json={"kind": "template"})
    assert (await whole(client, return_token_ids=True))["prompt_token_ids"] != before
    plain = {"prompt": "hello", "max_tokens": 2, "return_token_ids": True}
    answer = (await client.post("/v1/completions", json=plain)).json()
    assert answer["prompt_token_ids"] == language.prompt_tokens("hello")
