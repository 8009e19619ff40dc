"""Our HTTP clients: none that asks again keeps a connection. What for is seen in the tests of each client."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.house.source import modules
from watchtower.http_clients import is_local

ONCE_OR_ON_PURPOSE = ("watchtower/programs/", "watchtower/lab/")
"""Commands ask once and end; the lab plays clients, who do keep connections."""
CLIENTS = {"Client", "AsyncClient", "HTTPTransport", "AsyncHTTPTransport"}


def keeping(tree: ast.AST) -> Iterator[int]:
    """Lines of clients and transports made without saying that nothing is kept; a transport says it for its client."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="httpx"), attr=name)) if name in CLIENTS:
                said = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                if said.get("limits") != "NO_KEEP_ALIVE" and "httpx.HTTPTransport" not in said.get("transport", ""):
                    yield node.lineno


def test_no_client_that_asks_again_keeps_a_connection() -> None:
    ours = [module for module in modules() if not module.place.startswith(ONCE_OR_ON_PURPOSE)]
    asking = [module for module in ours if "httpx." in module.text]
    assert asking
    assert [f"{module.place}:{line}" for module in asking for line in keeping(ast.parse(module.text))] == []


def test_a_client_that_keeps_connections_is_seen() -> None:
    source = "httpx.AsyncClient(timeout=1)\nhttpx.Client(transport=httpx.HTTPTransport(limits=NO_KEEP_ALIVE))"
    assert list(keeping(ast.parse(source))) == [1]


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("http://127.0.0.1:9400/metrics", True),
        ("http://[::1]/", True),
        ("https://localhost/v1", True),
        ("https://localhost.example.com/", False),
        ("http://10.0.0.1/", False),
        ("http://host:port/", False),
    ],
)
def test_an_address_on_this_machine_is_told_from_others(address: str, local: bool) -> None:
    assert is_local(address) is local
