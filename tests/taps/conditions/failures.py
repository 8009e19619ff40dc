"""Errors, inside a 200 and outside."""

from __future__ import annotations

from tests.taps.conditions.script import (
    DONE,
    END,
    STOP,
    Do,
    Right,
    body,
    chunk,
    condition,
    event,
    stream,
    words,
)
from watchtower.vocabulary.facts import Ending

ERRORS = (
    condition(
        "callers-400-inside-200",
        "sgl-project/sglang#12081, #22785; ggml-org/llama.cpp#14566",
        Right(ending=Ending.REFUSED),
        stream(
            event({"error": {"object": "error", "message": "too long", "type": "BadRequestError", "code": 400}}),
            DONE,
            END,
        ),
    ),
    condition(
        "callers-400-as-text",
        "codes as strings",
        Right(ending=Ending.REFUSED),
        stream(event({"error": {"message": "too long", "code": "400"}}), DONE, END),
    ),
    condition(
        "engines-500-inside-200",
        "vLLM's EngineCore died",
        Right(ending=Ending.ERROR, tokens=3),
        stream(words(3, 0.02), event({"error": {"message": "EngineCore died", "code": 500}}), DONE, END),
    ),
    condition(
        "error-as-a-sentence",
        "transformers serve",
        Right(ending=Ending.ERROR),
        stream(words(3, 0.02), event({"error": "it broke"}), END),
    ),
    condition(
        "error-after-a-finish-reason",
        "an error comes first",
        Right(ending=Ending.ERROR),
        stream(words(3, 0.02), STOP, event({"error": {"message": "no"}}), DONE, END),
    ),
    condition(
        "error-field-then-done",
        "ggml-org/llama.cpp#16109, coddy-project/coddy-agent#106",
        Right(ending=Ending.ERROR),
        stream(chunk(b'error: {"code":500,"message":"x","type":"server_error"}\n\n'), DONE, END),
    ),
    condition(
        "error-event-name",
        "errors by the event's name",
        Right(ending=Ending.ERROR),
        stream(words(2, 0.02), chunk(b"event: error\ndata: out of memory\n\n"), END),
    ),
    condition(
        "flat-error-in-200",
        "lm-sys/FastChat / LMDeploy class",
        Right(ending=Ending.ERROR),
        body({"object": "error", "message": "the engine is dead", "code": 500}),
    ),
    condition(
        "flat-error-in-a-stream",
        "the same in a stream",
        Right(ending=Ending.ERROR),
        stream(words(2, 0.02), event({"object": "error", "message": "the engine is dead", "code": 50001}), END),
    ),
    condition(
        "flat-error-of-the-caller",
        "FastChat's five digits",
        Right(ending=Ending.REFUSED),
        body({"object": "error", "message": "too long", "code": 40303}),
    ),
    condition(
        "error-body-in-200",
        "an error object in one piece",
        Right(ending=Ending.REFUSED, status=200),
        body({"error": {"message": "too long", "code": 400}}),
    ),
    condition(
        "http-400", "the caller's", Right(ending=Ending.REFUSED, status=400), body({"error": {}}, "400 Bad Request")
    ),
    condition(
        "http-404", "a model that is not there", Right(ending=Ending.REFUSED, status=404), body({}, "404 Not Found")
    ),
    condition(
        "http-500", "the engine's", Right(ending=Ending.ERROR, status=500), body({}, "500 Internal Server Error")
    ),
    condition("http-503", "not ready", Right(ending=Ending.ERROR, status=503), body({}, "503 Service Unavailable")),
    condition(
        "http-503-retry-after",
        "no room",
        Right(ending=Ending.SHED, status=503),
        body({}, "503 Service Unavailable", more="Retry-After: 1\r\n"),
    ),
    condition("http-429", "no room", Right(ending=Ending.SHED, status=429), body({}, "429 Too Many Requests")),
    condition(
        "http-500-cut",
        "the engine's, and its body is cut",
        Right(ending=Ending.ERROR, status=500),
        (*body(b"{", "500 Internal Server Error", length=50), 0.05, Do.CLOSE),
    ),
)
