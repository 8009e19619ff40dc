"""Our own questions in OpenAI's shapes with vLLM's extensions: requests out, answers in. Pure.

``return_token_ids``, ``prompt_logprobs`` and ``cache_salt`` are vLLM's; an engine that ignores them still answers with
text, and what it did not give stays empty. Shapes seen from vLLM 0.32: ``prompt_logprobs`` stands in the choice of a
completion, null for the first token, then one object a token, keyed by the token's id as text.
"""

from __future__ import annotations

from typing import Any

from watchtower.vocabulary.references import EngineAnswer, Question

RANK_HEADER = "X-data-parallel-rank"
"""Read by vLLM's chat and completion routes (vllm-project/vllm#42330)."""


class Unusable(Exception):
    """The engine answered, but with no completion. ``str()`` is a kind, never a body."""


def asked(question: Question, model: str) -> tuple[str, dict[str, Any]]:
    """(path, body) of the request."""
    body: dict[str, Any] = {"model": model, "temperature": 0, "stream": False, "max_tokens": question.max_tokens}
    if question.salt:
        body["cache_salt"] = question.salt
    if question.token_ids:
        return "/v1/completions", {**body, "prompt": question.token_ids, "max_tokens": 1, "prompt_logprobs": 0}
    body["return_token_ids"] = True
    if question.plain:
        return "/v1/completions", {**body, "prompt": question.text}
    return "/v1/chat/completions", {**body, "messages": [{"role": "user", "content": question.text}]}


def directed(question: Question) -> dict[str, str]:
    """Headers that send the question to its data-parallel rank."""
    return {RANK_HEADER: str(question.rank)} if question.rank >= 0 else {}


def heard(answer: dict[str, Any], question: Question) -> EngineAnswer:
    """Raises Unusable for what is no completion."""
    choices = answer.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        raise Unusable("the answer is no completion")
    usage = answer.get("usage")
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    tokens = total if isinstance(total, int) else 0
    if question.token_ids:
        return EngineAnswer(logprobs=_logprobs(choice.get("prompt_logprobs"), question.token_ids), tokens=tokens)
    message = choice.get("message")
    text = message.get("content") if isinstance(message, dict) else choice.get("text")
    if not isinstance(text, str | None):
        raise Unusable("the answer is no text")
    reason = choice.get("finish_reason")
    return EngineAnswer(
        text=text or "",
        finish_reason=reason if isinstance(reason, str) else "",
        token_ids=_ids(choice.get("token_ids")),
        prompt_token_ids=_ids(answer.get("prompt_token_ids")) or _ids(choice.get("prompt_token_ids")),
        tokens=tokens,
    )


def _ids(value: object) -> list[int]:
    return value if isinstance(value, list) and all(isinstance(token, int) for token in value) else []


def _logprobs(entries: object, token_ids: list[int]) -> list[float | None]:
    """Of each token in its place. Raises Unusable where they are missing or are other tokens'."""
    if not isinstance(entries, list) or len(entries) != len(token_ids):
        raise Unusable("the engine gives no prompt_logprobs")
    return [_logprob(entry, token) for entry, token in zip(entries, token_ids, strict=True)]


def _logprob(entry: object, token: int) -> float | None:
    if entry is None:
        return None
    given = entry.get(str(token)) if isinstance(entry, dict) else None
    value = given.get("logprob") if isinstance(given, dict) else None
    if not isinstance(value, int | float):
        raise Unusable("the engine gives no prompt_logprobs")
    return float(value)
