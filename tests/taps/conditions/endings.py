"""How answers end."""

from __future__ import annotations

from tests.taps.conditions.script import (
    ASKED,
    DONE,
    END,
    ROLE,
    STOP,
    Do,
    Right,
    body,
    chunk,
    condition,
    event,
    interleaved,
    part,
    stops,
    stream,
    total,
    word,
    words,
)
from watchtower.vocabulary.facts import Ending

ENDINGS = (
    condition(
        "finish-reason-empty-cut",
        "sgl-project/sglang#3912, ollama/ollama#4357",
        Right(ending=Ending.TRUNCATED, tokens=5),
        stream((0.02, word(finish="")) * 5, END),
    ),
    condition(
        "finish-reason-null-text-cut",
        "engines that write null in quotes",
        Right(ending=Ending.TRUNCATED, tokens=5),
        stream((0.02, word(finish="null")) * 5, END),
    ),
    condition(
        "finish-reason-empty-then-stop",
        "the same, to its end",
        Right(ending=Ending.COMPLETE, tokens=5, finish="stop"),
        stream((0.02, word(finish="")) * 5, STOP, DONE, END),
    ),
    condition(
        "finish-reason-abort",
        "vllm-project/vllm#57082",
        Right(ending=Ending.FAILED, finish="abort"),
        stream(words(5, 0.02), event(part({"content": ""}, finish="abort")), DONE, END),
    ),
    condition(
        "finish-reason-error",
        "TensorRT-LLM, vLLM on a failed request",
        Right(ending=Ending.FAILED, finish="error"),
        stream(words(5, 0.02), event(part(finish="error")), DONE, END),
    ),
    condition(
        "abort-of-one-choice",
        "one of several choices given up",
        Right(ending=Ending.FAILED),
        stream(
            interleaved(2, 3, 0.02, 0.0), event(part(finish="stop")), event(part(index=1, finish="abort")), DONE, END
        ),
    ),
    condition(
        "finish-reason-unknown",
        "reasons of new engines",
        Right(ending=Ending.COMPLETE, finish="sunset", unknown_finish=True),
        stream(words(5, 0.02), event(part(finish="sunset")), DONE, END),
        counted=("unknown_finish",),
    ),
    condition(
        "one-choice-unfinished",
        "cut after one of two choices had ended",
        Right(ending=Ending.TRUNCATED),
        stream(interleaved(2, 3, 0.02, 0.0), STOP, END),
    ),
    condition(
        "every-choice-finished-no-done",
        "engines without [DONE]",
        Right(ending=Ending.COMPLETE),
        stream(interleaved(2, 3, 0.02, 0.0), stops(2), END),
    ),
    condition(
        "one-choice-unfinished-but-done",
        "[DONE] ends them all",
        Right(ending=Ending.COMPLETE),
        stream(interleaved(2, 3, 0.02, 0.0), STOP, DONE, END),
    ),
    condition(
        "done-without-last-chunk",
        "stellar-deprecated/horizon#414, npuichigo/openai_trtllm#31",
        Right(ending=Ending.COMPLETE, tokens=5),
        stream(words(5, 0.02), STOP, DONE, 0.05, Do.CLOSE),
    ),
    condition(
        "done-and-reset",
        "the same, ended by a reset",
        Right(ending=Ending.COMPLETE, tokens=5),
        stream(words(5, 0.02), DONE, 0.05, Do.RESET),
    ),
    condition(
        "done-without-blank-line",
        "darshi1337/apogee#139",
        Right(ending=Ending.COMPLETE, tokens=5),
        stream(words(5, 0.02), STOP, chunk(b"data: [DONE]"), END),
    ),
    condition(
        "done-without-blank-line-and-last-chunk",
        "both at once",
        Right(ending=Ending.COMPLETE, tokens=5),
        stream(words(5, 0.02), chunk(b"data: [DONE]\n"), 0.05, Do.CLOSE),
    ),
    condition(
        "cut-in-the-middle",
        "an engine that died",
        Right(ending=Ending.TRUNCATED, tokens=5),
        stream(words(5, 0.02), Do.CLOSE),
    ),
    condition(
        "empty-answer",
        "mudler/LocalAI#1609, ollama/ollama#17846",
        Right(ending=Ending.EMPTY, tokens=0),
        stream(ROLE, event(part({"content": ""}, finish="stop")), DONE, END),
    ),
    condition(
        "empty-answer-with-one-token",
        "an end-of-sequence token at once",
        Right(ending=Ending.EMPTY, total=1),
        stream(ROLE, event(part({"content": ""}, finish="stop")), total(1), DONE, END),
    ),
    condition(
        "empty-body",
        "the same in one piece",
        Right(ending=Ending.EMPTY),
        body({"choices": [{"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "stop"}]}),
    ),
    condition("no-choices-body", "an empty list", Right(ending=Ending.EMPTY), body({"model": "m", "choices": []})),
    condition(
        "tool-call-body",
        "an answer without text",
        Right(ending=Ending.COMPLETE, finish="tool_calls"),
        body(
            {
                "choices": [
                    {
                        "message": {"content": None, "tool_calls": [{"function": {"name": "f"}}]},
                        "finish_reason": "tool_calls",
                    }
                ]
            }
        ),
    ),
    condition(
        "aborted-body",
        "given up, in one piece",
        Right(ending=Ending.FAILED),
        body({"choices": [{"message": {"content": "w"}, "finish_reason": "abort"}]}),
    ),
    condition("json-null", "BerriAI/litellm#32221", Right(ending=Ending.TRUNCATED), body(b"null")),
    condition("json-empty", "a length of zero", Right(ending=Ending.TRUNCATED), body(b"")),
    condition(
        "json-without-an-answer", "an object that says nothing", Right(ending=Ending.TRUNCATED), body({"id": "c"})
    ),
    condition(
        "json-cut-by-close",
        "pocoproject/poco#5032 class, HTTP/1.0 style",
        Right(ending=Ending.TRUNCATED),
        (
            *ASKED,
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n",
            b'{"id":"c","choices":[{"mess',
            0.1,
            Do.CLOSE,
        ),
    ),
    condition(
        "json-cut-by-length",
        "a body shorter than it says",
        Right(ending=Ending.TRUNCATED),
        (*body(b'{"id":"c","choices":[{"mess', length=500), 0.1, Do.CLOSE),
    ),
)
