"""Addresses as they are written, and what is said of those that are not."""

from __future__ import annotations

import pytest

from watchtower.taps.socket_addresses import Address, check_socket_path, listen_address, upstream_address
from watchtower.vocabulary.errors import BadInput


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8100", Address(host="127.0.0.1", port=8100)),
        ("[::1]:8100", Address(host="::1", port=8100)),
        ("localhost:0", Address(host="localhost")),
    ],
)
def test_where_clients_connect_is_host_and_port(text: str, address: Address) -> None:
    assert listen_address(text) == address


@pytest.mark.parametrize("text", ["", "8100", ":8100", "localhost:", "localhost:port", "localhost:70000", "x:²"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadInput, match="is not host:port · write for example"):
        listen_address(text)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://engine:8000", Address(host="engine", port=8000)),
        ("http://engine/", Address(host="engine", port=80)),
        ("http://[::1]:8000", Address(host="::1", port=8000)),
        ("unix:/run/vllm.sock", Address(path="/run/vllm.sock")),
    ],
)
def test_the_engine_is_reached_by_host_and_port_or_by_a_path(url: str, address: Address) -> None:
    assert upstream_address(url) == address


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("https://engine:8000", "no TLS, path or user"),
        ("http://engine:8000/v1", "no TLS, path or user"),
        ("http://user@engine:8000", "no TLS, path or user"),
        ("http://engine:8000?x=1", "no TLS, path or user"),
        ("http://engine:port", "its port is not a number"),
        ("unix:run/vllm.sock", "names no absolute path"),
        ("unix:/" + "x" * 107, "the system allows 107"),
        ("engine:8000", "no TLS, path or user"),
    ],
)
def test_what_the_relay_cannot_forward_to_is_refused(url: str, what: str) -> None:
    with pytest.raises(BadInput, match=what):
        upstream_address(url)


def test_a_path_of_exactly_107_bytes_fits() -> None:
    check_socket_path("x" * 107, "state_directory")
    with pytest.raises(BadInput, match="state_directory"):
        check_socket_path("ü" * 54, "state_directory")
