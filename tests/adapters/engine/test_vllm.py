"""What the vLLM adapter makes of a server's answers, and of its silence."""

from __future__ import annotations

import socket
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from pydantic import SecretStr

from tests.adapters.scripted import Script, served
from watchtower.adapters.engine.vllm import VllmEngine, VllmEngineSettings
from watchtower.clock import boottime
from watchtower.vocabulary.contacts import ContactKind
from watchtower.vocabulary.facts import CanaryEnded, CanaryOutcome

SERVED: dict[str, Any] = {"choices": [{"text": " yes"}], "usage": {"completion_tokens": 1}}
MODELS: dict[str, Any] = {"data": [{"id": "tiny"}, {"id": "other"}]}
METRICS = """\
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="tiny"} 3.0
vllm:num_requests_running{engine="1",model_name="tiny"} 4.0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="tiny"} 2.0
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="tiny"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="tiny"} 0.75
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{engine="0",model_name="tiny"} 100.0
vllm:generation_tokens_total{engine="1",model_name="tiny"} 11.0
"""


def engine(script: Script, **settings: Any) -> VllmEngine:
    return VllmEngine(VllmEngineSettings(url=script.url, **settings))


def canary(script: Script, seconds: float = 5.0, **settings: Any) -> CanaryEnded:
    return engine(script, **settings).canary("canary-1", 7.0, seconds)


def test_a_healthy_server_serves_and_tells_its_version() -> None:
    with served(Script(health=(200, ""), version=(200, {"version": "0.32.0"}))) as script:
        assert engine(script).serving() == (True, "0.32.0")


@pytest.mark.parametrize("version", [(404, ""), (200, "[]"), (200, {"version": 1}), (200, "<html>")])
def test_a_version_that_cannot_be_read_does_not_make_it_sick(version: tuple[int, Any]) -> None:
    with served(Script(health=(200, ""), version=version)) as script:
        assert engine(script).serving() == (True, "")


def test_a_server_that_says_503_or_nothing_does_not_serve() -> None:
    with served(Script(health=(503, ""))) as script:
        assert engine(script).serving() == (False, "")
    assert engine(script).serving() == (False, "")


def test_serving_gives_up_on_a_silent_server_within_its_time() -> None:
    with served(Script(health=(200, None))) as script:
        began = boottime()
        assert engine(script).serving() == (False, "")
        assert boottime() - began < 1.8


def test_a_scrape_sums_over_the_engines_of_one_server_and_takes_the_fullest_cache() -> None:
    with served(Script(metrics=(200, METRICS))) as script:
        scrape = engine(script).scrape(5.0)
    assert (scrape.ok, scrape.at) == (True, 5.0)
    assert (scrape.running, scrape.waiting) == (7.0, 2.0)
    assert (scrape.kv_cache_ratio, scrape.generation_tokens) == (0.75, 111.0)


def test_the_old_name_of_the_cache_gauge_is_read_and_missing_ones_are_missing() -> None:
    with served(Script(metrics=(200, "vllm:gpu_cache_usage_perc 0.5\nvllm:num_requests_running NaN\n"))) as script:
        scrape = engine(script).scrape(5.0)
    assert (scrape.ok, scrape.kv_cache_ratio, scrape.running, scrape.generation_tokens) == (True, 0.5, None, None)


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        ((500, "secret"), "HTTP 500"),
        ((200, "vllm:num_requests_running {secret"), "the metrics cannot be read"),
        ((200, b"\xff\x00 secret {{"), "the metrics cannot be read"),
        ((200, "process_cpu_seconds_total 1\n"), "no vllm metrics"),
    ],
)
def test_a_failed_scrape_tells_the_kind_and_never_the_body(answer: tuple[int, Any], because: str) -> None:
    with served(Script(metrics=answer)) as script:
        scrape = engine(script).scrape(5.0)
    assert not scrape.ok
    assert scrape.because.startswith(because)
    assert "secret" not in scrape.because


def test_a_canary_is_one_fresh_token_of_the_first_model_that_is_listed() -> None:
    with served(Script(v1__models=(200, MODELS), v1__completions=(200, SERVED))) as script:
        ended = canary(script)
        canary(script)
        asked = [body for path, _, body in script.asked if path == "/v1/completions"]
    assert (ended.outcome, ended.id, ended.started_at, ended.because) == (CanaryOutcome.SERVED, "canary-1", 7.0, "")
    assert asked[0]["model"] == "tiny"
    assert (asked[0]["max_tokens"], asked[0]["temperature"], asked[0]["stream"]) == (1, 0, False)
    assert asked[0]["cache_salt"] in asked[0]["prompt"]
    assert asked[0]["cache_salt"] != asked[1]["cache_salt"]


def test_a_token_that_decodes_to_no_text_is_a_token() -> None:
    empty = {"choices": [{"text": ""}], "usage": {"completion_tokens": 1}}
    with served(Script(v1__completions=(200, empty))) as script:
        assert canary(script, model="tiny").outcome is CanaryOutcome.SERVED


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ((500, "secret"), CanaryOutcome.REFUSED),
        ((401, "secret"), CanaryOutcome.REFUSED),
        ((302, "secret"), CanaryOutcome.REFUSED),
        ((200, "secret"), CanaryOutcome.BROKEN),
        ((200, []), CanaryOutcome.BROKEN),
        ((200, {"choices": []}), CanaryOutcome.BROKEN),
        ((200, {"choices": ["secret"]}), CanaryOutcome.BROKEN),
        ((200, {"choices": [{"text": ""}], "usage": {"completion_tokens": 0}}), CanaryOutcome.BROKEN),
        ((200, b"x" * (5 * 1024 * 1024)), CanaryOutcome.BROKEN),
        ((200, None), CanaryOutcome.HUNG),
    ],
)
def test_the_outcome_of_a_canary(answer: tuple[int, Any], outcome: CanaryOutcome) -> None:
    with served(Script(v1__completions=answer)) as script:
        patience = 0.5 if outcome is CanaryOutcome.HUNG else 10.0
        ended = canary(script, patience, model="tiny", api_key=SecretStr("sesame"))
        assert [headers["authorization"] for _, headers, _ in script.asked] == ["Bearer sesame"]
    assert ended.outcome is outcome
    assert ended.because
    assert not any(word in ended.because for word in ("secret", "sesame", script.url))


def test_a_server_that_is_away_refuses_and_one_that_never_accepts_hangs() -> None:
    with served(Script()) as script:
        pass
    assert canary(script, model="tiny").outcome is CanaryOutcome.REFUSED
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        script.url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        ended = canary(script, 0.5, model="tiny")
    assert ended.outcome is CanaryOutcome.HUNG
    assert 0.4 < ended.seconds < 1.5


@pytest.mark.parametrize(
    ("answer", "contact"),
    [
        ((200, SERVED), ContactKind.HTTP),
        ((500, "secret"), ContactKind.HTTP),
        ((200, "no JSON"), ContactKind.HTTP),
        ((200, None), ContactKind.TIMEOUT),
    ],
)
def test_a_status_line_whatever_it_says_is_a_contact_and_silence_is_none(
    answer: tuple[int, Any], contact: ContactKind
) -> None:
    with served(Script(v1__completions=answer, metrics=answer)) as script:
        patience = 0.5 if contact is ContactKind.TIMEOUT else 10.0
        assert canary(script, patience, model="tiny").contact is contact
        if contact is ContactKind.HTTP:
            assert engine(script).scrape(1.0).contact is contact


def test_a_refused_connection_and_one_that_is_closed_without_a_word_are_told_apart() -> None:
    with served(Script()) as script:
        pass
    assert canary(script, model="tiny").contact is ContactKind.REFUSED
    assert engine(script).scrape(1.0).contact is ContactKind.REFUSED
    with socket.socket() as rude:
        rude.bind(("127.0.0.1", 0))
        rude.listen(4)
        script.url = f"http://127.0.0.1:{rude.getsockname()[1]}"

        def close_at_once() -> None:
            connection, _ = rude.accept()
            connection.recv(65536)
            connection.close()

        closing = Thread(target=close_at_once)
        closing.start()
        assert canary(script, model="tiny").contact is ContactKind.OK
        closing.join(10)


def test_a_model_listing_that_hangs_hangs_the_canary_and_an_empty_one_breaks_it() -> None:
    with served(Script(v1__models=(200, None))) as script:
        assert canary(script, 0.3).outcome is CanaryOutcome.HUNG
    with served(Script(v1__models=(200, {"data": []}))) as script:
        assert canary(script, 0.3).outcome is CanaryOutcome.BROKEN


def test_a_unix_socket_is_an_address_too(tmp_path: Path) -> None:
    with served(Script(health=(200, ""), version=(200, {"version": "1"})), unix=tmp_path / "engine.sock") as script:
        assert engine(script).serving() == (True, "1")
