"""OpenAI's shapes as vLLM 0.32 writes them: requests in, completions, chunks and errors out. Bytes and dicts only.

What the simulated engine cannot do (several choices, log-probabilities of its own tokens, tools) it refuses with a 400
and never ignores in silence: a test must not believe that it saw something. Log-probabilities of the *prompt* it has,
with the prompt's own tokens only (``prompt_logprobs: 0``): that is what teacher-forcing an answer needs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import msgspec

from watchtower.lab.simulator import language
from watchtower.lab.simulator.scheduler import Emission, Finish

DONE = b"data: [DONE]\n\n"
_DEFAULT_COMPLETION_TOKENS = 16
"""What OpenAI's and vLLM's ``/v1/completions`` give when nobody says."""


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool = False
    continuous_usage_stats: bool = False


class _Part(msgspec.Struct, frozen=True):
    type: str
    text: str = ""


class _ChatMessage(msgspec.Struct, frozen=True):
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
    messages: list[_ChatMessage] | None = None
    prompt: str | list[str | int] | None = None
    cache_salt: str | None = None


class BadRequest(Exception):
    """The request cannot be served; the text is for the client."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status

    @property
    def kind(self) -> str:
        return "NotFoundError" if self.status == 404 else "BadRequestError"


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    chat: bool
    prompt: str
    prompt_token_ids: tuple[int, ...]
    max_tokens: int | None
    stream: bool
    usage_at_end: bool
    usage_always: bool
    token_ids: bool
    prompt_logprobs: bool = False
    cache_salt: str = ""

    def written_out(self, prompt: str) -> GenerationRequest:
        """The same request with the prompt that the chat template made of it."""
        return (
            self
            if prompt == self.prompt
            else replace(self, prompt=prompt, prompt_token_ids=tuple(language.prompt_tokens(prompt)))
        )


def parse(body: bytes, *, chat: bool, model: str, max_model_len: int) -> GenerationRequest:
    """Read a generation request. Raises ``BadRequest``."""
    try:
        asked = msgspec.json.decode(body, type=_Body)
    except msgspec.DecodeError as exc:
        raise BadRequest(f"cannot read the request: {exc}") from exc
    if asked.model not in ("", model):
        raise BadRequest(f"The model `{asked.model}` does not exist.", 404)
    if asked.n not in (None, 1) or asked.logprobs or asked.prompt_logprobs not in (None, 0) or asked.tools:
        raise BadRequest("the simulated engine has no n > 1, logprobs, prompt_logprobs above 0 or tools")
    if asked.prompt_logprobs is not None and asked.stream:
        raise BadRequest("`prompt_logprobs` are not available when `stream=True`.")
    if asked.cache_salt == "":
        raise BadRequest("Parameter 'cache_salt' must be a non-empty string if provided.")
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
        prompt = _one_prompt(asked.prompt)
        most = _DEFAULT_COMPLETION_TOKENS if most is None else most
    token_ids = _ids(asked.prompt) or language.prompt_tokens(prompt)
    if len(token_ids) >= max_model_len:
        raise BadRequest(f"This model's maximum context length is {max_model_len} tokens.")
    options = asked.stream_options or StreamOptions()
    return GenerationRequest(
        chat=chat,
        prompt=prompt,
        prompt_token_ids=tuple(token_ids),
        max_tokens=most,
        stream=asked.stream,
        usage_at_end=options.include_usage,
        usage_always=options.include_usage and options.continuous_usage_stats,
        token_ids=bool(asked.return_token_ids),
        prompt_logprobs=asked.prompt_logprobs is not None,
        cache_salt=asked.cache_salt or "",
    )


def _one_prompt(prompt: str | list[str | int] | None) -> str:
    ids = _ids(prompt)
    if ids:
        return " ".join(str(token) for token in ids)
    match prompt:
        case str():
            return prompt
        case [str() as only]:
            return only
        case _:
            raise BadRequest("the simulated engine takes one prompt, as text or as token ids")


def _ids(prompt: str | list[str | int] | None) -> list[int]:
    """The prompt where it came as token ids; empty where it did not."""
    return [token for token in prompt if isinstance(token, int)] if isinstance(prompt, list) else []


def error(message: str, kind: str, status: int) -> dict[str, Any]:
    """The error object that OpenAI clients understand."""
    return {"error": {"message": message, "type": kind, "param": None, "code": status}}


def sse(event: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(event) + b"\n\n"


@dataclass(slots=True)
class Writer:
    """Writes one exchange's answer, piece by piece."""

    request: GenerationRequest
    id: str
    model: str
    created: int
    prompt_token_ids: list[int]
    prompt_logprobs: list[float] | None = None
    """Of every prompt token after the first, where they were asked for."""
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
        if not self.request.chat:
            logprobs = self.prompt_logprobs
            choice["prompt_logprobs"] = None if logprobs is None else _shown(self.prompt_token_ids, logprobs)
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


def _shown(token_ids: list[int], logprobs: list[float]) -> list[dict[str, Any] | None]:
    """vLLM's form: nothing for the first token, then one entry a token, keyed by its id as text."""
    entries = [
        {str(token): {"logprob": logprob, "rank": 1, "decoded_token": language.word(token)}}
        for token, logprob in zip(token_ids[1:], logprobs, strict=True)
    ]
    return [None, *entries]
