"""Every route of a released engine is guarded, read, known as unread, or harmless by name; a new release is added by
its list, and each of its routes that nobody thought of fails here."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from tests.taps.pinned_routes import FATES, FOLDER, PinnedRoute, pinned_routes
from watchtower.exchanges.dialect import Routes
from watchtower.exchanges.dialects import DIALECTS, SESSION_ROUTES, UNREAD_ROUTES
from watchtower.taps.guard import Guard, normal_path
from watchtower.taps.scanner import Scanner

PINNED = pinned_routes()
GUARD = Guard()
ROUTES = Routes(DIALECTS, UNREAD_ROUTES, SESSION_ROUTES)

each_route = pytest.mark.parametrize("route", PINNED, ids=str)
guarded_routes = pytest.mark.parametrize("route", [route for route in PINNED if route.fate == "guarded"], ids=str)


def fate(target: bytes, method: str) -> tuple[str, str]:
    """What becomes of a request, and the dialect that reads its answer."""
    path, method = normal_path(target), method.replace("WS", "GET")
    if GUARD.refuses(path, method):
        return "guarded", ""
    if not ROUTES.generates(path, method):
        return "harmless", ""
    dialect = ROUTES.dialect(path, method)
    return ("read", dialect.name) if dialect is not None else ("unread", "")


@each_route
def test_a_route_has_the_fate_that_its_list_names(route: PinnedRoute) -> None:
    assert fate(route.target.encode(), route.method) == (route.fate, route.dialect)


@pytest.mark.parametrize("prefix", ["/llm", "/a/b/c", "/v1", "/%61//b"])
def test_a_prefix_changes_no_fate(prefix: str) -> None:
    """An engine behind ``--root-path``, or a gateway's path. The one route that is "/" itself cannot be told there."""
    for route in PINNED:
        if route.target.strip("/"):
            assert fate((prefix + route.target).encode(), route.method) == (route.fate, route.dialect), route


def disguises(target: str) -> list[str]:
    path, question, query = target.partition("?")
    encoded = "".join(f"%{byte:02X}" for byte in path.encode())
    return [
        text + question + query
        for text in (
            path.upper(),
            path.replace("/", "//"),
            path.replace("/", "/./"),
            "/" + encoded[3:],
            "/" + encoded[3:].replace("%", "%25"),
            path + "/",
            path + "%0A",
            path + ";v=1",
            "/x/.." + path,
            "/x%3F/.." + path,
            "http://engine:8000" + path,
        )
    ]


@guarded_routes
def test_a_guarded_route_is_guarded_in_every_disguise(route: PinnedRoute) -> None:
    let_through = [d for d in disguises(route.target) if not GUARD.refuses(normal_path(d.encode()), route.method)]
    assert let_through == []


@guarded_routes
def test_a_guarded_route_is_found_in_unframed_bytes(route: PinnedRoute) -> None:
    for target in (route.target, *disguises(route.target)):
        line = b"\n%s %s HTTP/1.1\n\n" % (route.method.encode(), target.encode())
        if "%25" not in target:  # no server decodes a smuggled target twice
            assert Scanner(GUARD.refuses_request).finds(line), target
            assert any(
                Scanner(GUARD.refuses_request).finds(line[:cut]) or Scanner(GUARD.refuses_request).finds(line)
                for cut in range(len(line))
            )


@pytest.mark.parametrize("route", [route for route in PINNED if route.fate != "guarded"], ids=str)
def test_any_other_route_passes_in_unframed_bytes(route: PinnedRoute) -> None:
    method = route.method.replace("WS", "GET").encode()
    assert not Scanner(GUARD.refuses_request).finds(b"\n%s %s HTTP/1.1\n\n" % (method, route.target.encode()))


def test_a_route_is_found_in_unframed_bytes_that_come_one_by_one() -> None:
    for route in PINNED:
        if route.fate == "guarded":
            scanner = Scanner(GUARD.refuses_request)
            line = b"\n%s %s HTTP/1.1\n\n" % (route.method.encode(), route.target.encode())
            assert any(scanner.finds(bytes([byte])) for byte in line), route


def test_the_lists_are_whole() -> None:
    engines = Counter(route.engine.rpartition("-")[0] for route in PINNED)

    assert engines["vllm"] > 75 and engines["sglang"] > 130 and engines["llama.cpp"] > 50
    assert {route.fate for route in PINNED} == set(FATES)
    assert all(bool(route.dialect) == (route.fate == "read") for route in PINNED)
    assert len(set(PINNED)) == len(PINNED)
    for file in FOLDER.glob("*.txt"):
        assert file.read_text().startswith("# "), "where it is from"


def test_nothing_is_guarded_or_read_that_no_engine_offers() -> None:
    """A typing error in a list would guard nothing."""
    targets = [normal_path(route.target.encode()) for route in PINNED]
    for dialect in DIALECTS:
        for ending in dialect.routes:
            assert any(path.endswith(ending) for path in targets), f"{dialect.name} {ending}"
    for ending in itertools.chain(UNREAD_ROUTES, SESSION_ROUTES):
        assert any(path.endswith(ending) for path in targets), ending
