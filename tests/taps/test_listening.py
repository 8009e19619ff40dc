"""Where the listening socket comes from, and what it is called."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from watchtower.taps.listening import adopted, bound, inherited, name_of, refuse_to_meet_itself
from watchtower.taps.socket_addresses import Address, upstream_address
from watchtower.vocabulary.errors import BadInput, OwnAddress


def test_a_service_managers_socket_is_only_taken_when_it_is_meant_for_us() -> None:
    for environment in ({}, {"LISTEN_FDS": "1", "LISTEN_PID": "1"}, {"LISTEN_FDS": "0", "LISTEN_PID": "42"}):
        assert inherited(environment, 42) is None
        assert environment == {}


def test_an_inherited_descriptor_must_be_a_socket() -> None:
    with open(os.devnull) as file, pytest.raises(BadInput, match="is no socket"):
        adopted(file.fileno())


def test_an_address_that_is_taken_is_said_with_its_cure() -> None:
    with bound(Address(host="127.0.0.1")) as first:
        taken = Address(host="127.0.0.1", port=first.getsockname()[1])
        with pytest.raises(BadInput, match="address already in use · stop whoever listens there"):
            bound(taken)


def test_a_host_that_nobody_knows_is_said_so() -> None:
    with pytest.raises(BadInput, match="the host is not known"):
        bound(Address(host="no such host", port=1))


def test_a_socket_is_called_by_where_it_listens(tmp_path: Path) -> None:
    with bound(Address(host="127.0.0.1")) as listening:
        assert name_of(listening) == f"127.0.0.1:{listening.getsockname()[1]}"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.fspath(tmp_path / "x"))
        assert name_of(listening) == f"unix:{tmp_path / 'x'}"


# ── an engine that is the relay itself ──────────────────────────────────────────────────────────

BACK = [
    ("127.0.0.1", "http://127.0.0.1:{port}"),
    ("127.0.0.1", "http://localhost:{port}"),
    ("127.0.0.1", "http://0.0.0.0:{port}"),
    ("127.0.0.1", "http://127.1:{port}"),
    ("127.0.0.1", "http://[::ffff:127.0.0.1]:{port}"),
    ("0.0.0.0", "http://127.0.0.1:{port}"),
    ("0.0.0.0", "http://127.9.9.9:{port}"),
    ("0.0.0.0", "http://{hostname}:{port}"),
    ("::1", "http://[::1]:{port}"),
    ("::1", "http://[::]:{port}"),
    ("::", "http://127.0.0.1:{port}"),
    ("::", "http://[::1]:{port}"),
]
ELSEWHERE = [
    ("127.0.0.1", "http://127.0.0.1:1"),
    ("127.0.0.1", "http://127.0.0.2:{port}"),
    ("127.0.0.1", "http://[::1]:{port}"),
    ("0.0.0.0", "http://192.0.2.1:{port}"),
    ("0.0.0.0", "http://no-such-host.invalid:{port}"),
    ("127.0.0.1", "unix:/run/engine.sock"),
]


def meet(listen: str, url: str, owned: list[Path]) -> None:
    try:
        listening = bound(Address(host=listen))
    except BadInput:
        pytest.skip("no such address here")
    with listening:
        port = listening.getsockname()[1]
        upstream = upstream_address(url.format(port=port, hostname=socket.gethostname()))
        refuse_to_meet_itself(upstream, listening, owned)


@pytest.mark.parametrize(("listen", "url"), BACK)
def test_an_engine_that_is_the_relay_itself_is_refused_by_whatever_name(listen: str, url: str) -> None:
    with pytest.raises(OwnAddress, match="would come back") as refused:
        meet(listen, url, [])
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(("listen", "url"), ELSEWHERE)
def test_an_engine_elsewhere_is_not(listen: str, url: str) -> None:
    meet(listen, url, [])


def test_sockets_of_our_own_are_no_engine_either(tmp_path: Path) -> None:
    (tmp_path / "also").symlink_to(tmp_path / "relay-0.handover")
    with pytest.raises(OwnAddress):
        meet("127.0.0.1", f"unix:{tmp_path}/also", [tmp_path / "relay-0.handover"])
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.fspath(tmp_path / "x"))
        with pytest.raises(OwnAddress):
            refuse_to_meet_itself(Address(path=f"{tmp_path}/x"), listening, [])
        refuse_to_meet_itself(Address(host="127.0.0.1", port=1), listening, [])
