"""Our questions in the engine's shapes. The answers are vLLM 0.32's, shortened."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.adapters.scripted import Script, served
from watchtower.adapters.engine.questions import Unusable, asked, heard
from watchtower.adapters.engine.vllm import VllmEngine, VllmEngineSettings
from watchtower.vocabulary.references import Question

CHAT = Question(text="Name three colours.", salt="s1", max_tokens=24)
FORCED = Question(token_ids=[202, 29, 3972], salt="s2")
SAID: dict[str, Any] = {
    "choices": [
        {
            "message": {"role": "assistant", "content": "address optional", "reasoning": None},
            "finish_reason": "length",
            "token_ids": [3715, 1437],
        }
    ],
    "prompt_token_ids": [202, 29],
    "usage": {"prompt_tokens": 2, "total_tokens": 4, "completion_tokens": 2},
}
READ: dict[str, Any] = {
    "choices": [
        {
            "text": " This",
            "prompt_logprobs": [
                None,
                {"29": {"logprob": -8.486394882202148, "rank": 2999, "decoded_token": ":"}, "1551": {"logprob": -7.4}},
                {"3972": {"logprob": -8.262351036071777, "rank": 1494, "decoded_token": " Name"}},
            ],
        }
    ],
    "usage": {"total_tokens": 4},
}


def test_a_question_is_greedy_salted_and_asks_for_token_ids() -> None:
    path, body = asked(CHAT, "tiny")
    assert path == "/v1/chat/completions"
    assert body["messages"] == [{"role": "user", "content": "Name three colours."}]
    assert (body["temperature"], body["cache_salt"], body["max_tokens"], body["return_token_ids"]) == (
        0,
        "s1",
        24,
        True,
    )
    assert asked(Question(text="x", plain=True), "tiny")[0] == "/v1/completions"


def test_teacher_forcing_generates_one_token_and_asks_for_no_rivals() -> None:
    path, body = asked(FORCED, "tiny")
    assert path == "/v1/completions"
    assert (body["prompt"], body["max_tokens"], body["prompt_logprobs"]) == ([202, 29, 3972], 1, 0)


def test_an_answer_is_read_with_its_tokens_and_its_cost() -> None:
    said = heard(SAID, CHAT)
    assert (said.text, said.finish_reason, said.token_ids) == ("address optional", "length", [3715, 1437])
    assert (said.prompt_token_ids, said.tokens, said.because) == ([202, 29], 4, "")
    assert "address" not in repr(said)


def test_log_probabilities_are_those_of_our_tokens() -> None:
    assert heard(READ, FORCED).logprobs == [None, -8.486394882202148, -8.262351036071777]


@pytest.mark.parametrize("entries", [None, [], [None, None], [None, {"7": {"logprob": -1.0}}, None], [None, [], {}]])
def test_an_engine_without_prompt_logprobs_says_so(entries: object) -> None:
    with pytest.raises(Unusable, match="prompt_logprobs"):
        heard({"choices": [{"text": "", "prompt_logprobs": entries}]}, FORCED)


@pytest.mark.parametrize("answer", [{}, {"choices": []}, {"choices": ["x"]}, {"choices": [{"text": 7}]}])
def test_what_is_no_completion_is_no_answer(answer: dict[str, Any]) -> None:
    with pytest.raises(Unusable):
        heard(answer, CHAT)


def test_an_engine_without_our_extensions_still_answers() -> None:
    said = heard({"choices": [{"message": {"content": None}, "finish_reason": None}]}, CHAT)
    assert (said.text, said.finish_reason, said.token_ids, said.tokens) == ("", "", [], 0)


def test_a_sick_engine_is_a_reason_and_no_exception() -> None:
    with served(Script(v1__chat__completions=(500, {"error": "the secret of a user"}))) as script:
        answer = VllmEngine(VllmEngineSettings(url=script.url, model="tiny")).ask(CHAT)
    assert answer.because == "HTTP 500" and answer.text == ""
    with served(Script(v1__chat__completions=(200, {"choices": []}))) as script:
        assert "no completion" in VllmEngine(VllmEngineSettings(url=script.url, model="tiny")).ask(CHAT).because
    with served(Script(v1__chat__completions=(200, SAID))) as script:
        assert VllmEngine(VllmEngineSettings(url=script.url, model="tiny")).ask(CHAT).text == "address optional"


def test_a_question_goes_to_its_data_parallel_rank() -> None:
    script = Script(v1__chat__completions=(200, SAID))
    with served(script):
        engine = VllmEngine(VllmEngineSettings(url=script.url, model="tiny"))
        engine.ask(msgspec.structs.replace(CHAT, rank=3))
        engine.ask(CHAT)
    sent = [{name.lower(): value for name, value in headers.items()} for _, headers, _ in script.asked]
    assert [headers.get("x-data-parallel-rank") for headers in sent] == ["3", None]
