"""Where the listening socket comes from, and what it is called."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from watchtower.taps.listening import adopted, bound, inherited, name_of
from watchtower.taps.socket_addresses import Address
from watchtower.vocabulary.errors import BadInput


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
