"""Two live engines compared: the verdict with its cause, what happens without log-probabilities, and every mistake."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from typer.testing import CliRunner, Result

from watchtower.cli import app
from watchtower.clock import SystemClock
from watchtower.lab.simulator.app import Identity, make_app
from watchtower.lab.simulator.loop import EngineLoop, Model
from watchtower.programs import endpoints
from watchtower.testing.adapters import eventually
from watchtower.vocabulary.errors import BadInput, NotReachable

CLOCK = SystemClock()


@contextmanager
def served(make: Callable[[], Starlette]) -> Iterator[str]:
    """On a port of its own, in a thread of its own."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(make(), log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            assert eventually(lambda: server.started)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def simulated(checkpoint: str = "tiny-good") -> Iterator[str]:
    model = Model(checkpoint=checkpoint, token_seconds=0.0005)
    with served(lambda: make_app(EngineLoop(model, CLOCK), CLOCK, Identity(1, "1", "b"))) as url:
        yield url


def plain(says: Callable[[str], str]) -> Starlette:
    """An engine that tells texts and nothing else."""

    async def chat(request: Request) -> Response:
        text = says((await request.json())["messages"][0]["content"])
        choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return JSONResponse({"choices": [choice], "usage": {"total_tokens": 9}})

    async def models(_: Request) -> Response:
        return JSONResponse({"data": [{"id": "plain"}]})

    return Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"]), Route("/v1/models", models)])


def compare(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["compare", "--no-encoder", "--max-tokens", "16", *arguments])


def compared(baseline: str, candidate: str) -> tuple[int, dict[str, Any]]:
    done = compare("--json", baseline, candidate)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    found: dict[str, Any] = json.loads(done.stdout)
    return done.exit_code, found


def test_the_same_checkpoint_twice_is_the_same_and_another_is_named() -> None:
    with simulated() as baseline, simulated() as same, simulated("tiny-other") as other:
        code, found = compared(baseline, f"{same}/v1/")
        assert (code, found["outcome"], found["cause"]) == (0, "same", "")
        assert found["prompts"] == found["likelihood"]["prompts"] == found["identical"] == 24
        assert found["likelihood"]["nats"] == 0.0
        code, found = compared(baseline, other)
        assert (code, found["outcome"], found["cause"]) == (1, "different", "weights")
        assert found["likelihood"]["low"] > 100


def test_rounded_weights_are_told_from_other_ones_by_few_prompts(tmp_path: Path) -> None:
    questions = tmp_path / "questions.yaml"
    texts = "".join(f"  - {{id: q{n}, text: 'What is {n} times {n}? Explain.'}}\n" for n in range(10))
    questions.write_text(f"version: 1\nprompts:\n{texts}")
    with simulated() as baseline, simulated() as rounded:
        httpx.post(f"{rounded}/sim/fault", json={"kind": "numerics"}, trust_env=False).raise_for_status()
        done = compare(baseline, rounded, "--prompts", str(questions))
    assert done.exit_code == 1
    assert "DIFFERENT · nearly the same weights, computed differently" in " ".join(done.stdout.split())
    assert "times what the baseline's own noise allows" in " ".join(done.stdout.split())
    assert "What is" not in done.stdout, "ids, never texts"


def test_without_log_probabilities_the_texts_are_compared_and_it_says_so() -> None:
    with (
        served(lambda: plain(lambda asked: f"An answer to {asked[:30]}.")) as baseline,
        served(lambda: plain(lambda _: "no")) as terse,
    ):
        code, found = compared(baseline, terse)
    assert (code, found["outcome"], found["likelihood"], found["cause"]) == (1, "different", None, "")
    assert found["no_likelihood"] == "baseline: the baseline gives no token ids"


def test_an_engine_that_does_not_answer_is_named_with_its_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "AGAIN_SECONDS", 0.0)
    with socket.socket() as nobody, simulated() as baseline:
        nobody.bind(("127.0.0.1", 0))
        away = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        done = compare(baseline, away)
    assert isinstance(done.exception, NotReachable)
    assert str(done.exception).startswith(f"{away} did not answer question ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("http://127.0.0.1:9", "answers.jsonl"), "one side is a file, the other a live engine"),
        (("http://127.0.0.1:9", "http://127.0.0.1:9", "--again", "x.jsonl"), "a live baseline is asked twice anyway"),
        (("a.jsonl", "b.jsonl", "--prompts", "q.yaml"), "files hold their answers already"),
        (("http://", "http://127.0.0.1:9"), "an address without a host"),
        (("http://me:secret@127.0.0.1:9", "http://127.0.0.1:9"), "an address with a user or password in it"),
    ],
)
def test_a_mistake_is_named_before_anybody_is_asked(arguments: tuple[str, ...], says: str) -> None:
    done = compare(*arguments)
    assert isinstance(done.exception, BadInput)
    assert says in str(done.exception)
    assert "secret" not in str(done.exception)
