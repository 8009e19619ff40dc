import json

import pytest

from watchtower.lab.simulator import wire
from watchtower.lab.simulator.scheduler import Emission, Finish


def chat(**more: object) -> bytes:
    return json.dumps({"model": "tiny", "messages": [{"role": "user", "content": "hello"}], **more}).encode()


def parsed(body: bytes, *, as_chat: bool = True) -> wire.GenerationRequest:
    return wire.parse(body, chat=as_chat, model="tiny", max_model_len=50)


def events(raw: bytes) -> list[dict[str, object]]:
    return [json.loads(part[6:]) for part in raw.decode().split("\n\n") if part and part != "data: [DONE]"]


def writer(request: wire.GenerationRequest) -> wire.Writer:
    return wire.Writer(request, id="x-1", model="tiny", created=1, prompt_token_ids=[7, 8])


def test_a_chat_prompt_carries_every_role_and_the_text_of_every_part() -> None:
    body = chat(
        messages=[
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
        ]
    )
    assert parsed(body).prompt == "system: be brief\nuser: one two"


def test_completions_default_to_sixteen_tokens_and_chats_to_no_limit() -> None:
    assert parsed(b'{"prompt": "hello"}', as_chat=False).max_tokens == 16
    assert parsed(chat()).max_tokens is None
    assert parsed(chat(max_tokens=9, max_completion_tokens=4)).max_tokens == 4


@pytest.mark.parametrize(
    ("body", "status", "what"),
    [
        (b"{", 400, "cannot read"),
        (chat(model="other"), 404, "does not exist"),
        (chat(messages=[]), 400, "messages"),
        (chat(n=2), 400, "n > 1"),
        (chat(logprobs=True), 400, "logprobs"),
        (chat(max_tokens=0), 400, "max_tokens"),
        (chat(stream_options={"include_usage": True}), 400, "Stream options"),
        (chat(messages=[{"role": "user", "content": "word " * 60}]), 400, "maximum context length"),
    ],
)
def test_what_cannot_be_served_is_refused_and_never_ignored(body: bytes, status: int, what: str) -> None:
    with pytest.raises(wire.BadRequest, match=what) as refused:
        parsed(body)
    assert refused.value.status == status


def test_a_chat_stream_opens_with_a_role_and_no_token() -> None:
    (opening,) = events(writer(parsed(chat(stream=True))).opening())
    assert opening["choices"] == [
        {"index": 0, "logprobs": None, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
    ]
    assert "usage" not in opening


def test_a_completion_stream_has_no_role() -> None:
    assert writer(parsed(b'{"prompt":"hello","stream":true}', as_chat=False)).opening() == b""


def test_usage_counts_up_by_one_a_token_when_asked_for_continuously() -> None:
    stream = writer(parsed(chat(stream=True, stream_options={"include_usage": True, "continuous_usage_stats": True})))
    raw = stream.opening() + stream.chunk(Emission("x", "The", None)) + stream.chunk(Emission("x", " a", Finish.STOP))
    raw += stream.closing()
    assert [event["usage"]["completion_tokens"] for event in events(raw)] == [0, 1, 2, 2]  # type: ignore[index]
    assert events(raw)[-1]["choices"] == [] and raw.endswith(wire.DONE)


def test_an_aborted_stream_ends_in_form_with_its_reason_and_without_a_token() -> None:
    stream = writer(parsed(chat(stream=True, return_token_ids=True)))
    (event,) = events(stream.chunk(Emission("x", None, Finish.ABORT)))
    assert event["choices"][0]["finish_reason"] == "abort"  # type: ignore[index]
    assert event["choices"][0]["token_ids"] == []  # type: ignore[index]


def test_a_whole_answer_joins_the_pieces_and_counts_them() -> None:
    answer = writer(parsed(chat(return_token_ids=True))).whole(["The", " a", "."], Finish.STOP)
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"]["content"] == "The a."
    assert len(answer["choices"][0]["token_ids"]) == 3
    assert answer["usage"] == {"prompt_tokens": 2, "total_tokens": 5, "completion_tokens": 3}
