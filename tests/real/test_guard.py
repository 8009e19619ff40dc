"""A development-mode engine obeys anybody; behind the relay it obeys nobody who is a client."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.stack import Stack
from tests.real.conftest import Measured
from tests.taps.pinned_routes import pinned_routes, with_values

pytestmark = [pytest.mark.real_vllm, pytest.mark.timeout(600)]

FOR_CLIENTS = {route.target for route in pinned_routes() if route.engine.startswith("vllm") and route.fate != "guarded"}
"""Routes of this engine that only serve, or only look: by name, so that a route of a newer release is seen here."""

OBEYED: list[tuple[str, Any]] = [
    ("/reset_prefix_cache", None),
    ("/collective_rpc", {"method": "check_health"}),
    ("/pause", None),
    ("/resume", None),
    ("/sleep?level=1", None),
    ("/wake_up", None),
]
"""In this order they leave the engine as it was."""


def test_control_paths_are_refused_to_clients_although_the_engine_would_obey(stack: Stack) -> None:
    for path, body in OBEYED:
        refused = stack.http.post(f"{stack.relay}{path}", json=body)
        assert refused.status_code == 403, path
        error = refused.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert (error["type"], error["code"]) == ("permission_error", "guarded")
        assert stack.http.post(f"{stack.engine}{path}", json=body).status_code == 200, path
    states = [stack.http.get(f"{stack.relay}/{state}").json() for state in ("is_paused", "is_sleeping")]
    assert states == [{"is_paused": False}, {"is_sleeping": False}]


def test_every_route_of_this_engine_that_changes_something_is_refused(stack: Stack, measured: Measured) -> None:
    routes = stack.http.get(f"{stack.engine}/openapi.json").json()["paths"]
    changing = {path for path, methods in routes.items() if set(methods) - {"get", "head"}}
    changing = {with_values(path) for path in changing} - FOR_CLIENTS
    assert "/collective_rpc" in changing, "the engine runs in development mode"
    let_through = {path for path in changing if stack.http.post(f"{stack.relay}{path}").status_code != 403}
    assert let_through == set()
    measured(f"guard: {len(changing)} control routes of this engine, all refused to clients")


@pytest.mark.parametrize("path", ["/health", "/version", "/metrics", "/v1/models"])
def test_what_balancers_and_dashboards_ask_passes(stack: Stack, path: str) -> None:
    through, directly = stack.http.get(f"{stack.relay}{path}"), stack.http.get(f"{stack.engine}{path}")
    assert through.status_code == directly.status_code == 200
    assert through.headers.get("content-type") == directly.headers.get("content-type")
