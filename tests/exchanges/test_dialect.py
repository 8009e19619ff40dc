"""Which dialect a route speaks: the list says it, and guard, hold, reader and sampler ask."""

from __future__ import annotations

from dataclasses import replace

import pytest

from watchtower.exchanges.dialect import Dialect, Routes
from watchtower.exchanges.dialects import DIALECTS, UNREAD_ROUTES
from watchtower.exchanges.dialects.openai_chat import OPENAI_CHAT
from watchtower.taps.guard import Guard, normal_path

each_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)


def test_a_route_has_the_dialect_that_claims_it() -> None:
    routes = Routes(DIALECTS, UNREAD_ROUTES)

    assert routes.dialect("/v1/chat/completions") is OPENAI_CHAT
    assert routes.dialect("/v1/embeddings") is None
    assert not routes.generates("/v1/embeddings")


def test_what_nobody_reads_costs_tokens_all_the_same() -> None:
    routes = Routes(DIALECTS, UNREAD_ROUTES)

    assert routes.generates("/generate_stream")
    assert routes.dialect("/generate_stream") is None


def test_a_dialect_takes_over_a_route_that_nobody_read() -> None:
    taken = replace(OPENAI_CHAT, name="taken", routes=("/generate",))

    assert Routes((*DIALECTS, taken), UNREAD_ROUTES).dialect("/generate") is taken


def test_two_dialects_cannot_claim_one_route() -> None:
    with pytest.raises(ValueError, match="/v1/chat/completions is claimed by openai_chat and by again"):
        Routes([OPENAI_CHAT, replace(OPENAI_CHAT, name="again")])


def test_today_these_routes_are_read() -> None:
    """By name and not from the list, so that a line lost from it is seen."""
    assert {route: dialect.name for dialect in DIALECTS for route in dialect.routes} == {
        "/v1/chat/completions": "openai_chat",
        "/v1/completions": "openai_completions",
        "/v1/responses": "openai_responses",
        "/v1/messages": "anthropic_messages",
    }
    assert {
        "/generate",
        "/generate_stream",
        "/inference/v1/generate",
        "/api/chat",
        "/api/generate",
    } == UNREAD_ROUTES


@each_dialect
def test_a_dialects_routes_are_normal_and_no_control_paths(dialect: Dialect) -> None:
    for route in dialect.routes:
        assert normal_path(route.encode()) == route
        assert not Guard().refuses(route)
