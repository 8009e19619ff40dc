"""Which dialect a route speaks: the list says it, and guard, hold, reader and sampler ask."""

from __future__ import annotations

from dataclasses import replace

import pytest

from watchtower.exchanges.dialect import Dialect, Routes
from watchtower.exchanges.dialects import DIALECTS, SESSION_ROUTES, UNREAD_ROUTES
from watchtower.exchanges.dialects.openai_chat import OPENAI_CHAT
from watchtower.taps.guard import Guard, normal_path

each_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)


def test_a_route_has_the_dialect_that_claims_it() -> None:
    routes = Routes(DIALECTS, UNREAD_ROUTES)

    assert routes.dialect("/v1/chat/completions") is OPENAI_CHAT
    assert routes.dialect("/v1/models") is None
    assert not routes.generates("/v1/models")


@pytest.mark.parametrize("prefix", ["", "/v3", "/llm/v1", "/openai/deployments/m", "/v1/v1"])
def test_a_route_is_known_by_how_its_path_ends(prefix: str) -> None:
    routes = Routes(DIALECTS, UNREAD_ROUTES)

    assert routes.dialect(f"{prefix}/chat/completions") is OPENAI_CHAT
    assert routes.generates(f"{prefix}/generate")


@pytest.mark.parametrize(
    "path",
    ["/v1/models/x/generate-report", "/v1/chat/completions/x", "/v1/chat/completions2", "/x"],
)
def test_what_only_looks_like_a_route_is_none(path: str) -> None:
    routes = Routes(DIALECTS, UNREAD_ROUTES, SESSION_ROUTES)

    assert not routes.generates(path)
    assert routes.generates("/"), "of which every path is not the ending"


def test_the_longest_ending_counts() -> None:
    longer = replace(OPENAI_CHAT, name="longer", routes=("/b/generate",))
    shorter = replace(OPENAI_CHAT, name="shorter", routes=("/generate",))
    routes = Routes([shorter, longer], ["/c/b/generate"])

    assert routes.dialect("/a/b/generate") is longer
    assert routes.dialect("/x/generate") is shorter
    assert routes.dialect("/c/b/generate") is None and routes.generates("/c/b/generate")


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_work_is_asked_for_with_a_post_or_a_put(method: str) -> None:
    routes = Routes(DIALECTS, UNREAD_ROUTES, SESSION_ROUTES)

    assert routes.generates("/generate", method)
    assert not routes.generates("/generate", "GET")
    assert routes.generates("/v1/realtime", "GET"), "a WebSocket begins with a GET"
    assert not routes.generates("/v1/realtime", method)


def test_what_nobody_reads_costs_tokens_all_the_same() -> None:
    routes = Routes(DIALECTS, UNREAD_ROUTES)

    assert routes.generates("/cohere/v2/chat")
    assert routes.dialect("/cohere/v2/chat") is None


def test_a_dialect_takes_over_a_route_that_nobody_read() -> None:
    taken = replace(OPENAI_CHAT, name="taken", routes=("/cohere/v2/chat",))

    assert Routes((*DIALECTS, taken), UNREAD_ROUTES).dialect("/cohere/v2/chat") is taken


def test_two_dialects_cannot_claim_one_route() -> None:
    with pytest.raises(ValueError, match="/chat/completions is claimed by openai_chat and by again"):
        Routes([OPENAI_CHAT, replace(OPENAI_CHAT, name="again")])


def test_today_these_routes_are_read() -> None:
    """By name and not from the list, so that a line lost from it is seen. ``tests/taps/routes`` names the rest."""
    routes: dict[str, set[str]] = {}
    for dialect in DIALECTS:
        routes.setdefault(dialect.name, set()).update(dialect.routes)
    assert routes == {
        "openai_chat": {"/chat/completions", "/chat/completions/batch"},
        "openai_completions": {"/completions"},
        "openai_responses": {"/responses"},
        "anthropic_messages": {"/v1/messages"},
        "sglang_generate": {"/generate", "/vertex_generate"},
        "vllm_generate": {"/inference/v1/generate"},
        "tgi": {"/generate_stream", "/", "/vertex"},
        "ollama": {"/api/chat", "/api/generate"},
        "sagemaker": {"/invocations"},
        "llama_cpp": {"/completion", "/infill"},
        "pooling": {"/embeddings", "/embedding", "/embed", "/pooling", "/encode", "/infer"}
        | {"/rerank", "/reranking", "/score", "/generative_scoring", "/classify", "/decisions", "/systemone"},
        "audio": {"/audio/transcriptions", "/audio/translations", "/audio/speech"},
        "pictures": {"/images/generations", "/images/edits", "/images/variations", "/meshes"}
        | {"/videos", "/videos/generations", "/actions/generations", "/rollout/generate"},
    }


@each_dialect
def test_a_dialects_routes_are_normal_and_no_control_paths(dialect: Dialect) -> None:
    for route in dialect.routes:
        assert normal_path(route.encode()) == route
        assert not Guard().refuses(route)
