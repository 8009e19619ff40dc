"""Streams whose events name their type."""

from __future__ import annotations

import json

from tests.taps.conditions.script import (
    ASKED,
    END,
    SSE,
    Condition,
    Do,
    Right,
    Step,
    chunk,
    condition,
    request,
)
from watchtower.vocabulary.facts import Ending


def messages(name: str, reported: str, right: Right, *steps: Step) -> Condition:
    """A stream of ``/v1/messages``."""
    asked = request(name, "/v1/messages", {"model": "m", "stream": True, "max_tokens": 9, "messages": []})
    return condition(name, reported, right, (*ASKED, SSE, *steps), (asked, Do.AWAIT_ANSWER))


def responses(name: str, reported: str, right: Right, *steps: Step) -> Condition:
    """A stream of ``/v1/responses``."""
    asked = request(name, "/v1/responses", {"model": "m", "stream": True, "input": "hi"})
    return condition(name, reported, right, (*ASKED, SSE, *steps), (asked, Do.AWAIT_ANSWER))


def typed(kind: str, **more: object) -> bytes:
    return chunk(f"event: {kind}\ndata: ".encode() + json.dumps({"type": kind, **more}).encode() + b"\n\n")


def text_delta() -> bytes:
    return typed("content_block_delta", index=0, delta={"type": "text_delta", "text": "w"})


STARTED = typed("message_start", message={"id": "a", "model": "m", "usage": {"input_tokens": 25, "output_tokens": 1}})


TYPED = (
    messages(
        "anthropic-usage",
        "sgl-project/sglang#20678, envoyproxy/ai-gateway#2239",
        Right(ending=Ending.COMPLETE, tokens=20, pace=0.05, total=20, prompt=25, model="m", finish="max_tokens"),
        STARTED,
        typed("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        typed("ping"),
        *((0.05, text_delta()) * 20),
        typed("content_block_stop", index=0),
        typed("message_delta", delta={"stop_reason": "max_tokens"}, usage={"output_tokens": 20}),
        typed("message_stop"),
        END,
    ),
    messages(
        "anthropic-cut",
        "cut: what it starts with is no total",
        Right(ending=Ending.TRUNCATED, tokens=3, total=-1, prompt=25),
        STARTED,
        *((0.02, text_delta()) * 3),
        Do.CLOSE,
    ),
    messages(
        "anthropic-tool-call",
        "arguments held back",
        Right(ending=Ending.COMPLETE, tokens=110, pace=0.02, total=110, finish="tool_use"),
        STARTED,
        *((0.02, text_delta()) * 10),
        typed("content_block_start", index=1, content_block={"type": "tool_use", "name": "f"}),
        2.0,
        typed("content_block_delta", index=1, delta={"type": "input_json_delta", "partial_json": "x" * 300}),
        typed("message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 110}),
        typed("message_stop"),
        END,
    ),
    messages(
        "anthropic-overloaded",
        "an error event",
        Right(ending=Ending.ERROR),
        STARTED,
        typed("error", error={"type": "overloaded_error"}),
        END,
    ),
    messages(
        "anthropic-invalid",
        "the caller's, by its type",
        Right(ending=Ending.REFUSED),
        typed("error", error={"type": "invalid_request_error"}),
        END,
    ),
    responses(
        "responses-usage",
        "the same for /v1/responses",
        Right(ending=Ending.COMPLETE, tokens=10, pace=0.05, total=10, prompt=7, model="m", finish="completed"),
        typed("response.created", response={"model": "m", "status": "in_progress", "usage": None}),
        *((0.05, typed("response.output_text.delta", delta="w")) * 10),
        typed(
            "response.completed",
            response={"model": "m", "status": "completed", "usage": {"input_tokens": 7, "output_tokens": 10}},
        ),
        END,
    ),
    responses(
        "responses-incomplete",
        "ended by the limit",
        Right(ending=Ending.COMPLETE, total=2, finish="max_output_tokens"),
        *((0.05, typed("response.output_text.delta", delta="w")) * 2),
        typed(
            "response.incomplete",
            response={
                "status": "incomplete",
                "incomplete_details": {"reason": "max_output_tokens"},
                "usage": {"input_tokens": 7, "output_tokens": 2},
            },
        ),
        END,
    ),
    responses(
        "responses-failed",
        "the engine's own failure",
        Right(ending=Ending.ERROR, model="m"),
        typed("response.created", response={"model": "m"}),
        typed("response.failed", response={"status": "failed", "error": {"code": "server_error", "message": "no"}}),
        END,
    ),
)
