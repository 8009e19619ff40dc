"""OpenAI's shapes as vLLM 0.32 writes them: requests in, completions, chunks and errors out. Bytes and dicts only.

What the simulated engine cannot do (several choices, log-probabilities, tools) it refuses with a 400 and never
ignores in silence: a test must not believe that it saw something.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from watchtower.simulator import language
from watchtower.simulator.scheduler import Emission, Finish

DONE = b"data: [DONE]\n\n"
_DEFAULT_COMPLETION_TOKENS = 16
"""What OpenAI's and vLLM's ``/v1/completions`` give when nobody says."""


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool = False
    continuous_usage_stats: bool = False


class _Part(msgspec.Struct, frozen=True):
    type: str
    text: str = ""


class _Message(msgspec.Struct, frozen=True):
    role: str
    content: str | list[_Part] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return " ".join(part.text for part in self.content)
        return self.content or ""


class _Body(msgspec.Struct, frozen=True):
    model: str = ""
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    return_token_ids: bool | None = False
    n: int | None = 1
    logprobs: bool | int | None = None
    prompt_logprobs: int | None = None
    tools: list[Any] | None = None
    messages: list[_Message] | None = None
    prompt: str | list[str] | None = None


class BadRequest(Exception):
    """The request cannot be served; the text is for the client."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status

    @property
    def kind(self) -> str:
        return "NotFoundError" if self.status == 404 else "BadRequestError"


@dataclass(frozen=True, slots=True)
class Request:
    chat: bool
    prompt: str
    max_tokens: int | None
    stream: bool
    usage_at_end: bool
    usage_always: bool
    token_ids: bool


def parse(body: bytes, *, chat: bool, model: str, max_model_len: int) -> Request:
    """Read a generation request. Raises ``BadRequest``."""
    try:
        asked = msgspec.json.decode(body, type=_Body)
    except msgspec.DecodeError as exc:
        raise BadRequest(f"cannot read the request: {exc}") from exc
    if asked.model not in ("", model):
        raise BadRequest(f"The model `{asked.model}` does not exist.", 404)
    if asked.n not in (None, 1) or asked.logprobs or asked.prompt_logprobs is not None or asked.tools:
        raise BadRequest("the simulated engine has no n > 1, logprobs, prompt_logprobs or tools")
    if asked.stream_options and not asked.stream:
        raise BadRequest("Stream options can only be defined when `stream=True`.")
    most = asked.max_completion_tokens if asked.max_completion_tokens is not None else asked.max_tokens
    if most is not None and most < 1:
        raise BadRequest(f"max_tokens must be at least 1, got {most}.")
    if chat:
        if not asked.messages:
            raise BadRequest("messages must not be empty")
        prompt = "\n".join(f"{message.role}: {message.text}" for message in asked.messages)
    else:
        if isinstance(asked.prompt, list) and len(asked.prompt) == 1:
            prompt = asked.prompt[0]
        elif isinstance(asked.prompt, str):
            prompt = asked.prompt
        else:
            raise BadRequest("the simulated engine takes one prompt as text")
        most = _DEFAULT_COMPLETION_TOKENS if most is None else most
    if len(language.prompt_tokens(prompt)) >= max_model_len:
        raise BadRequest(f"This model's maximum context length is {max_model_len} tokens.")
    options = asked.stream_options or StreamOptions()
    return Request(
        chat=chat,
        prompt=prompt,
        max_tokens=most,
        stream=asked.stream,
        usage_at_end=options.include_usage,
        usage_always=options.include_usage and options.continuous_usage_stats,
        token_ids=bool(asked.return_token_ids),
    )


def error(message: str, kind: str, status: int) -> dict[str, Any]:
    """The error object that OpenAI clients understand."""
    return {"error": {"message": message, "type": kind, "param": None, "code": status}}


def sse(event: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(event) + b"\n\n"


@dataclass(slots=True)
class Writer:
    """Writes one exchange's answer, piece by piece."""

    request: Request
    id: str
    model: str
    created: int
    prompt_token_ids: list[int]
    made: int = 0

    def opening(self) -> bytes:
        """What comes just before the first token: for chats the event that names the role and carries no token."""
        if not self.request.chat:
            return b""
        event = self._event({"delta": {"role": "assistant", "content": ""}, "finish_reason": None})
        if self.request.token_ids:
            event["prompt_token_ids"] = self.prompt_token_ids
        return sse(event)

    def chunk(self, emission: Emission) -> bytes:
        """The event of one step."""
        piece = emission.piece or ""
        self.made += emission.piece is not None
        choice: dict[str, Any] = {"delta": {"content": piece}} if self.request.chat else {"text": piece}
        choice["finish_reason"] = emission.finish
        if emission.finish is not None:
            choice["stop_reason"] = None
        if self.request.token_ids:
            choice["token_ids"] = [language.token_id(piece)] if piece else []
        return sse(self._event(choice))

    def closing(self) -> bytes:
        """What comes after the last token."""
        if not self.request.usage_at_end:
            return DONE
        return sse({**self._head(), "choices": [], "usage": self._usage()}) + DONE

    def whole(self, pieces: list[str], finish: Finish) -> dict[str, Any]:
        """The answer to a request without ``stream``."""
        self.made = len(pieces)
        choice: dict[str, Any] = {"index": 0, "logprobs": None, "finish_reason": finish, "stop_reason": None}
        text = "".join(pieces)
        if self.request.chat:
            choice["message"] = {"role": "assistant", "content": text, "tool_calls": []}
        else:
            choice["text"] = text
        if self.request.token_ids:
            choice["token_ids"] = [language.token_id(piece) for piece in pieces]
        kind = "chat.completion" if self.request.chat else "text_completion"
        answer = {**self._head(), "object": kind, "choices": [choice], "usage": self._usage()}
        if self.request.token_ids:
            answer["prompt_token_ids"] = self.prompt_token_ids
        return answer

    def _head(self) -> dict[str, Any]:
        kind = "chat.completion.chunk" if self.request.chat else "text_completion"
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _event(self, choice: dict[str, Any]) -> dict[str, Any]:
        event = {**self._head(), "choices": [{"index": 0, "logprobs": None, **choice}]}
        if self.request.usage_always:
            event["usage"] = self._usage()
        return event

    def _usage(self) -> dict[str, int]:
        prompt = len(self.prompt_token_ids)
        return {"prompt_tokens": prompt, "total_tokens": prompt + self.made, "completion_tokens": self.made}
