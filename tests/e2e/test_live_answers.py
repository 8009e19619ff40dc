"""Answers to users, as processes: scored where they can be, their shift seen and located, and no word of them kept."""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.e2e.outside import Pager, Said, watchtower
from tests.e2e.stack import Stack

LIVE_SECRET = "planted-live-91c4de"
CANARY_SECRET = "planted-canary-7b20aa"
QUESTIONS = [f"What follows from premise {number} of this list?" for number in range(8)] + [
    f"Say what {CANARY_SECRET} may be."
]
SUBJECTS = ("tides", "bread", "loans", "clocks", "roofs")
CALLERS = 8
ASKED_ALONE = 40
"""Characters beyond which a piece of an answer to a user is in no blessed one, whose answers are 12 tokens."""

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@contextmanager
def embeddings_server() -> Iterator[str]:
    """Words, hashed: as much as a test needs to know of meaning."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            data = [{"index": n, "embedding": _vector(text)} for n, text in enumerate(asked["input"])]
            body = json.dumps({"data": data}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


def _vector(text: str) -> list[float]:
    found = [0.0] * 64
    for word in text.lower().split():
        found[zlib.crc32(word.encode()) % 64] += 1.0
    return found if any(found) else [1.0] * 64


class User:
    """Some people who ask the same few things, every other answer as a stream."""

    def __init__(self, stack: Stack) -> None:
        self._client = httpx.Client(timeout=30)
        self._url = f"{stack.relay}/v1/chat/completions"
        self.answers: list[str] = []

    def ask(self, question: str, *, streamed: bool = False, **more: Any) -> None:
        messages = [{"role": "user", "content": question}]
        body = {"model": "tiny", "messages": messages, "max_tokens": 30, **more}
        if not streamed:
            self.answers.append(self._client.post(self._url, json=body).json()["choices"][0]["message"]["content"])
            return
        text = ""
        with self._client.stream("POST", self._url, json={**body, "stream": True}) as reply:
            for line in reply.iter_lines():
                if line.startswith("data: {"):
                    text += json.loads(line[6:])["choices"][0]["delta"].get("content") or ""
        self.answers.append(text)

    def ask_many(self, count: int) -> None:
        def ask(number: int) -> None:
            self.ask(f"Explain {SUBJECTS[number % len(SUBJECTS)]}, please ({LIVE_SECRET})", streamed=number % 2 == 0)

        with ThreadPoolExecutor(CALLERS) as callers:
            list(callers.map(ask, range(count)))

    def ask_ours(self) -> None:
        with ThreadPoolExecutor(CALLERS) as callers:
            list(callers.map(lambda question: self.ask(question, temperature=0), QUESTIONS))

    def close(self) -> None:
        self._client.close()


class Run:
    stack: Stack
    pager: Pager
    user: User
    unknown: Said
    quiet: dict[str, Any]
    readings: dict[str, dict[str, Any]]
    moved: dict[str, Any]
    shown: Said
    incident: str


def drift(stack: Stack) -> dict[str, Any]:
    return stack.api("drift")


def readings(stack: Stack) -> dict[str, dict[str, Any]]:
    return {reading["name"]: reading for reading in stack.status()["readings"]}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    run = Run()
    directory = tmp_path_factory.mktemp("live")
    prompts = directory / "questions.yaml"
    asked = [{"id": f"q{number}", "text": text} for number, text in enumerate(QUESTIONS)]
    prompts.write_text(yaml.safe_dump({"version": 1, "prompts": asked}))
    run.pager = Pager()
    with run.pager.listening() as sink, embeddings_server() as url:
        run.stack = stack = Stack(
            directory,
            remediation={"mode": "observe"},
            scoring={"encoder": "server", "url": url, "model": "words"},
            references={"prompts": str(prompts), "max_tokens": 12, "repeats": 3, "every_seconds": 2},
            samples={"ratio": 1.0, "then": 50, "now": 50, "minimum": 30, "every_seconds": 0.5},
            sinks=[{"kind": "log"}, sink],
        )
        state = ("--state-dir", str(stack.state))
        try:
            stack.start(within=90)
            run.user = user = User(stack)
            run.unknown = watchtower("drift", *state)
            captured = watchtower("references", "capture", "--json", *state, within=120)
            assert captured.code == 0, captured.err
            stack.until(lambda: drift(stack)["then"] == 0 and drift(stack)["references"], 20, "sampling")
            user.ask_many(100)
            stack.until(lambda: drift(stack)["shift"], 30, "a first comparison")
            run.quiet = drift(stack)

            def scored() -> bool:
                user.ask_ours()  # again and again: a reading's window is seconds here
                return bool(readings(stack)["live_similarity.mean"]["samples"] == len(QUESTIONS))

            stack.until(scored, 60, "scored answers")
            run.readings = readings(stack)
            stack.fault(kind="drift", checkpoint="tiny-other")
            user.ask_many(50)
            stack.until(lambda: (drift(stack)["shift"] or {"p": 1})["p"] <= 0.01, 30, "a shift")
            run.moved, run.shown = drift(stack), watchtower("drift", *state)
            stack.until(lambda: run.pager.told("incident.opened"), 60, "an incident")
            run.incident = run.pager.told("incident.opened")[0]["incident"]
            stack.http.post(f"{stack.relay}/v1/chat/completions", content=f'{{"messages": "{LIVE_SECRET}'.encode())
            yield run
        finally:
            stack.end()
            if hasattr(run, "user"):
                run.user.close()


def test_before_references_exist_nothing_is_sampled_and_it_says_why(run: Run) -> None:
    assert run.unknown.code == 0
    assert "watchtower references capture" in run.unknown.out.replace("\n", " ")


def test_answers_to_users_who_ask_a_references_question_are_scored(run: Run) -> None:
    assert run.readings["live_agreement.mean"]["value"] == 1
    assert run.readings["live_similarity.mean"]["value"] == pytest.approx(1, abs=0.1)
    assert run.readings["live_agreement.mean"]["samples"] == len(QUESTIONS)


def test_the_same_model_is_not_seen_to_move(run: Run) -> None:
    assert run.quiet["shift"]["p"] > 0.01


def test_other_weights_move_the_answers_and_the_prompts_that_moved_are_named_by_hash(run: Run) -> None:
    shift = run.moved["shift"]
    assert shift["moved"]["meaning"] > 0.2
    assert all(len(name) == 12 for name in shift["groups"][0]["prompts"])
    assert "answers to users have moved" in run.shown.out
    metrics = run.stack.http.get(f"{run.stack.web}/metrics").text
    values = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if line.startswith("watchtower_"))
    assert float(values['watchtower_output_shift_ratio{measure="meaning"}']) > 0.2
    assert float(values["watchtower_relay_sampled_total"]) >= 140


def test_no_word_of_users_or_of_the_answers_they_got_is_kept_or_told(run: Run) -> None:
    seen = everything_written(run)
    answers = {piece for text in run.user.answers for piece in (text[-ASKED_ALONE:],) if len(text) > 100}
    planted = [LIVE_SECRET, *sorted(answers)]

    assert len(answers) >= len(SUBJECTS)
    assert {"samples.baseline", "references.db", "journal.db", "relay-0.log"} <= set(seen)
    assert [(where, word) for where, content in seen.items() for word in planted if word.encode() in content] == []


def test_a_question_of_ours_stays_in_the_references_alone(run: Run) -> None:
    seen = everything_written(run)

    assert CANARY_SECRET.encode() in seen.pop("references.db")
    assert [where for where, content in seen.items() if CANARY_SECRET.encode() in content] == []


def everything_written(run: Run) -> dict[str, bytes]:
    """What a stranger could read afterwards, by where. The engine's own log is the engine's."""
    stack = run.stack
    state = ("--state-dir", str(stack.state))
    commands = (
        *(("explain", run.incident), ("explain", run.incident, "--json"), ("drift", "--json"), ("drift",)),
        *(("status", "--readings"), ("references", "list"), ("references", "show", "--json"), ("incidents",)),
    )
    seen = {
        "webhooks": b"\n".join(webhook.body for webhook in run.pager.arrived),
        "daemon log": stack.log.read_bytes(),
        "commands": "".join(part for command in commands for part in watchtower(*command, *state)[1:]).encode(),
    }
    paths = ("status", "incidents", f"incidents/{run.incident}", "references", "references/show", "drift", "actions")
    for path in ("metrics", *(f"api/v1/{path}" for path in paths), "api/v1/nothing-here"):
        seen[path] = stack.http.get(f"{stack.web}/{path}").content
    for file in stack.state.rglob("*"):
        if file.is_file() and file.name != "engine.log":
            seen[file.name] = Path(file).read_bytes()
    return seen
