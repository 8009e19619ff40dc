"""Record what a real vLLM on the CPU answers: ``python -m tests.exchanges.recordings.record_vllm [NAME_PART …]``.

Every engine below is started once, with random weights and flags of its own. Every request is asked alone, on its own
connection, so that the engine's counters before and after it are the truth about it. Written beside this file, for each
answer: ``NAME.http``, every byte that came, and ``NAME.json``: what was asked, when which bytes came, and what the
engine counted. Nothing is edited. With parts of names, only those answers are recorded again.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Any, Final

import httpx

from tests.e2e.stack import free_port
from watchtower.clock import SystemClock
from watchtower.lab.simulator.vllm_cpu import engine as vllm
from watchtower.lab.simulator.vllm_cpu.vllm_process import running_vllm

VERSION: Final = "0.32"
DIRECTORY: Final = Path(__file__).parent / f"vllm-{VERSION}"
ANSWER_SECONDS: Final = 120.0
TOOLS: Final = ("--enable-auto-tool-choice", "--tool-call-parser", "hermes")

Body = dict[str, Any]
WEATHER: Final[Body] = {
    "name": "weather",
    "description": "The weather somewhere.",
    "parameters": {
        "type": "object",
        "properties": {
            "place": {"type": "string", "enum": ["Zermatt in Valais", "Cape Town"]},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        },
        "required": ["place", "unit"],
        "additionalProperties": False,
    },
}
CALL: Final = (
    r'<tool_call>\n\{"name": "weather", "arguments": '
    r'\{"place": "(Zermatt in Valais|Cape Town)", "unit": "celsius"\}\}\n</tool_call>'
)
"""A model of random weights calls no tool by itself: its text is forced into the form that the parser looks for."""
USAGE: Final[Body] = {"stream_options": {"include_usage": True}}
CONTINUOUS: Final[Body] = {"stream_options": {"include_usage": True, "continuous_usage_stats": True}}


@dataclass(frozen=True)
class Question:
    """One request, and what is done to the engine while it answers."""

    name: str
    path: str
    body: Body
    meanwhile: Callable[[EngineRun], None] | None = None
    """Called a second after the request was sent."""


@dataclass(frozen=True)
class EngineRun:
    """A running engine."""

    url: str
    pid: int

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def counted(self) -> dict[str, float]:
        """Its own counters of tokens and of ended requests, by what ended them."""
        text = httpx.get(f"{self.url}/metrics", timeout=30, trust_env=False).text
        found: dict[str, float] = {}
        for name in ("prompt_tokens_total", "generation_tokens_total"):
            found[name] = sum(float(value) for value in re.findall(rf"^vllm:{name}\{{[^}}]*\}} (\S+)$", text, re.M))
        pattern = r'^vllm:request_success_total\{[^}]*finished_reason="(\w+)"[^}]*\} (\S+)$'
        for reason, value in re.findall(pattern, text, re.M):
            found[f"finished_{reason}"] = found.get(f"finished_{reason}", 0.0) + float(value)
        return found

    def abort_everything(self) -> None:
        httpx.post(f"{self.url}/abort_requests", json={}, timeout=30, trust_env=False)

    def kill_the_core(self) -> None:
        """SIGKILL the process that computes: the one that answers lives on for a moment and tells."""
        children = subprocess.run(
            ["ps", "-o", "pid=,args=", "--ppid", str(self.pid)], capture_output=True, text=True, check=True
        )
        for line in children.stdout.splitlines():
            pid, _, command = line.strip().partition(" ")
            if "EngineCore" in command:
                subprocess.run(["kill", "-KILL", pid], check=True)


def chat(name: str, text: str = "Tell me of the sea.", *, tokens: int = 20, **more: Any) -> Question:
    meanwhile, path = more.pop("meanwhile", None), more.pop("path", "/v1/chat/completions")
    asked = {"model": vllm.MODEL, "messages": [{"role": "user", "content": text}], "max_tokens": tokens, "seed": 7}
    return Question(name, path, {**asked, **more}, meanwhile)


def completion(name: str, prompt: str | list[str] = "The sea", *, tokens: int = 20, **more: Any) -> Question:
    path = more.pop("path", "/v1/completions")
    return Question(name, path, {"model": vllm.MODEL, "prompt": prompt, "max_tokens": tokens, "seed": 7, **more})


def response(name: str, **more: Any) -> Question:
    asked = {"model": vllm.MODEL, "input": "Tell me of the sea.", "max_output_tokens": 20, "store": False}
    return Question(name, "/v1/responses", {**asked, **more})


def message(name: str, **more: Any) -> Question:
    asked = {"messages": [{"role": "user", "content": "Tell me of the sea."}], "max_tokens": 20}
    return Question(name, "/v1/messages", {"model": vllm.MODEL, **asked, **more})


def generate(name: str, **more: Any) -> Question:
    asked = {"token_ids": [71, 72, 73, 74], "sampling_params": {"max_tokens": 12, "seed": 7}}
    return Question(name, "/inference/v1/generate", {"model": vllm.MODEL, **asked, **more})


S: Final[Body] = {"stream": True}
OPENAI_TOOL: Final[Body] = {"tools": [{"type": "function", "function": WEATHER}]}
NAMED: Final[Body] = {**OPENAI_TOOL, "tool_choice": {"type": "function", "function": {"name": "weather"}}}
AUTO: Final[Body] = {**OPENAI_TOOL, "tool_choice": "auto", "structured_outputs": {"regex": CALL}}
MESSAGES_TOOL: Final[Body] = {
    "tools": [{"name": "weather", "input_schema": WEATHER["parameters"]}],
    "tool_choice": {"type": "tool", "name": "weather"},
    "max_tokens": 160,
}
RESPONSES_TOOL: Final[Body] = {
    "tools": [{"type": "function", **WEATHER}],
    "tool_choice": {"type": "function", "name": "weather"},
    "max_output_tokens": 160,
}
LONG: Final[Body] = {"ignore_eos": True, "tokens": 300}

PLAIN: Final = [
    chat("chat-stream", **S),
    chat("chat-stream-usage", **S, **USAGE),
    chat("chat-stream-continuous-usage", **S, **CONTINUOUS),
    chat("chat-stream-n2-usage", **S, **USAGE, n=2),
    chat("chat-stream-n2-continuous-usage", **S, **CONTINUOUS, n=2),
    chat("chat-stream-n4", **S, n=4, tokens=8),
    chat("chat-stream-token-ids", **S, return_token_ids=True),
    chat("chat-stream-logprobs", **S, logprobs=True, top_logprobs=1, tokens=8),
    chat("chat-stream-interval-asked-5", **S, **CONTINUOUS, stream_interval=5),
    chat("chat-stream-stop", **S, **USAGE, stop=["q", "Q"], tokens=120),
    chat("chat-stream-one-token", **S, **USAGE, tokens=1),
    chat("chat-stream-tool-named", **S, **USAGE, **NAMED, tokens=160),
    chat("chat-stream-tool-auto", **S, **USAGE, **AUTO, tokens=160),
    chat("chat-stream-tool-auto-continuous-usage", **S, **CONTINUOUS, **AUTO, tokens=160),
    chat("chat-stream-aborted", **S, **LONG, meanwhile=EngineRun.abort_everything),
    chat("chat-whole"),
    chat("chat-whole-n2", n=2),
    chat("chat-whole-tool-named", **NAMED, tokens=160),
    chat("chat-whole-tool-auto", **AUTO, tokens=160),
    chat("chat-refused-model", model="no-such-model", **S),
    chat("chat-refused-length", tokens=5000, **S),
    chat("chat-refused-field", temperature="hot", **S),
    Question(
        "chat-batch-whole",
        "/v1/chat/completions/batch",
        {
            "model": vllm.MODEL,
            "messages": [[{"role": "user", "content": text}] for text in ("Of the sea.", "Of the hills.")],
            "max_tokens": 8,
        },
    ),
    completion("completions-stream", **S),
    completion("completions-stream-usage", **S, **USAGE),
    completion("completions-stream-continuous-usage", **S, **CONTINUOUS),
    completion("completions-stream-n2-usage", **S, **USAGE, n=2),
    completion("completions-stream-prompts-usage", ["The sea", "The hills", "A road"], **S, **USAGE, tokens=8),
    completion("completions-stream-echo", **S, **USAGE, echo=True, tokens=8),
    completion("completions-stream-token-ids", **S, return_token_ids=True),
    completion("completions-whole"),
    completion("completions-whole-prompts", ["The sea", "The hills"]),
    response("responses-stream", **S),
    response("responses-whole"),
    response("responses-stream-tool-named", **S, **RESPONSES_TOOL),
    message("messages-stream", **S),
    message("messages-whole"),
    message("messages-stream-tool-named", **S, **MESSAGES_TOOL),
    message("messages-refused-model", **S, model="no-such-model"),
    generate("generate-stream", **S),
    generate("generate-stream-usage", **S, **USAGE),
    generate("generate-stream-text", **S, output_mode="text"),
    generate("generate-whole"),
    chat("invocations-chat-stream-usage", **S, **USAGE, path="/invocations"),
    completion("invocations-completions-whole", path="/invocations"),
    chat("chat-stream-core-killed", **S, **LONG, meanwhile=EngineRun.kill_the_core),
]
"""The last one ends its engine."""
INTERVAL: Final = [
    chat("interval10-chat-stream", **S, tokens=64),
    chat("interval10-chat-stream-usage", **S, **USAGE, tokens=64),
    chat("interval10-chat-stream-continuous-usage", **S, **CONTINUOUS, tokens=64),
    chat("interval10-chat-stream-n2-continuous-usage", **S, **CONTINUOUS, n=2, tokens=64),
    chat("interval10-chat-stream-token-ids", **S, return_token_ids=True, tokens=64),
    chat("interval10-chat-stream-tool-auto-usage", **S, **USAGE, **AUTO, tokens=160),
    completion("interval10-completions-stream-usage", **S, **USAGE, tokens=64),
    completion("interval10-completions-stream-continuous-usage", **S, **CONTINUOUS, tokens=64),
    response("interval10-responses-stream", **S, max_output_tokens=64),
    message("interval10-messages-stream", **S, max_tokens=64),
]
REPEATING: Final[Body] = {"temperature": 0, "ignore_eos": True}
"""The likeliest words go round in circles: a draft from the words before guesses right, and a step has many tokens."""
COUNT: Final = "one two three four five six"
DRAFTING: Final = [
    chat("ngram-chat-stream-usage", COUNT, **S, **USAGE, **REPEATING, tokens=160),
    chat("ngram-chat-stream-continuous-usage", COUNT, **S, **CONTINUOUS, **REPEATING, tokens=160),
    chat("ngram-chat-stream-token-ids", COUNT, **S, return_token_ids=True, **REPEATING, tokens=160),
    completion("ngram-completions-stream-continuous-usage", COUNT, **S, **CONTINUOUS, **REPEATING, tokens=160),
]
POOLING: Final = [
    Question("embeddings-whole", "/v1/embeddings", {"model": vllm.MODEL, "input": ["The sea", "The hills"]}),
    Question("pooling-whole", "/pooling", {"model": vllm.MODEL, "input": "The sea"}),
    Question("score-whole", "/score", {"model": vllm.MODEL, "text_1": "sea", "text_2": ["sea", "hills"]}),
    Question("rerank-whole", "/rerank", {"model": vllm.MODEL, "query": "sea", "documents": ["sea", "hills"]}),
]
DRAFTS: Final = {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_max": 4, "prompt_lookup_min": 1}
ENGINES: Final[dict[tuple[str, ...], list[Question]]] = {
    (*TOOLS, "--enable-scale-out"): PLAIN,
    ("--stream-interval", "10", *TOOLS): INTERVAL,
    ("--speculative-config", json.dumps(DRAFTS)): DRAFTING,
    ("--runner", "pooling", "--convert", "embed"): POOLING,
}
"""Flags beyond those of ``vllm_cpu.engine.command`` → what is asked of it."""


def ask(run: EngineRun, question: Question) -> tuple[bytes, list[tuple[float, int]]]:
    """Every byte of the answer, and (milliseconds since the request was sent, bytes) of each read."""
    body = json.dumps(question.body).encode()
    head = f"POST {question.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    end = f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    wire, reads = bytearray(), list[tuple[float, int]]()
    with socket.create_connection(("127.0.0.1", run.port), timeout=ANSWER_SECONDS) as connection:
        connection.sendall(f"{head}{end}".encode() + body)
        began = time.monotonic_ns()
        timer = Timer(1.0, question.meanwhile, [run]) if question.meanwhile else None
        if timer is not None:
            timer.start()
        while data := received(connection):
            reads.append((round((time.monotonic_ns() - began) / 1e6, 2), len(data)))
            wire += data
        if timer is not None:
            timer.join()
    return bytes(wire), reads


def received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1 << 20)
    except ConnectionResetError:
        return b""


def record(run: EngineRun, flags: tuple[str, ...], question: Question) -> str:
    """Ask, and write what came; a line that says what the engine counted."""
    before = run.counted()
    wire, reads = ask(run, question)
    time.sleep(0.3)  # its counters follow its answer
    counted: dict[str, int] | None
    try:
        after = run.counted()
        counted = {name: int(after[name] - before.get(name, 0)) for name in after}
        counted = {name: times for name, times in counted.items() if times}
    except httpx.HTTPError:
        counted = None  # it is dead
    DIRECTORY.mkdir(exist_ok=True)
    (DIRECTORY / f"{question.name}.http").write_bytes(wire)
    told = {
        "engine": f"vLLM {VERSION} on the CPU",
        "flags": list(flags),
        "path": question.path,
        "body": question.body,
        "counted": counted,
        "reads_ms_bytes": reads,
    }
    text = json.dumps(told, ensure_ascii=False, indent=1)
    text = re.sub(r"\[\s+(-?[\d.]+),\s+(-?[\d.]+)\s+\]", r"[\1, \2]", text)
    (DIRECTORY / f"{question.name}.json").write_text(text + "\n", encoding="utf-8")
    status = wire.split(b"\r\n", 1)[0].decode(errors="replace")
    return f"{question.name}: {status}, {len(wire)} bytes in {len(reads)} reads; counted {counted}"


async def main(parts: list[str]) -> None:
    for flags, questions in ENGINES.items():
        wanted = [question for question in questions if not parts or any(part in question.name for part in parts)]
        if not wanted:
            continue
        print(f"starting vLLM with {' '.join(flags)}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="wt-record-") as directory:
            log = Path(directory) / "vllm.log"
            async with running_vllm(free_port(), log, SystemClock(), *vllm.LARGER, *flags) as engine:
                run = EngineRun(engine.url, engine.process.pid)
                await asyncio.to_thread(record_all, run, flags, wanted)


def record_all(run: EngineRun, flags: tuple[str, ...], questions: list[Question]) -> None:
    warm = "/v1/embeddings" if "pooling" in flags else "/v1/completions"
    body = {"model": vllm.MODEL, "input": "warm", "prompt": "warm", "max_tokens": 2}
    httpx.post(f"{run.url}{warm}", json=body, timeout=ANSWER_SECONDS, trust_env=False)
    for question in questions:
        print(record(run, flags, question), file=sys.stderr, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
