"""What the engine inherits, and what is said of a difference: names, never values."""

from __future__ import annotations

import pytest

from watchtower.adapters.keeper.inheritance import MOST_NAMES, difference, inherited

OURS = ("WATCHTOWER__SINKS__0__SECRET", "WATCHTOWER_CRASH_AT", "NOTIFY_SOCKET", "LISTEN_FDS", "WATCHDOG_USEC")


def test_everything_is_inherited_but_what_is_ours_and_what_is_withheld() -> None:
    environ = dict.fromkeys((*OURS, "HF_HOME", "VLLM_API_KEY", "AWS_SECRET", "AWS_REGION", "PATH"), "x")
    assert set(inherited(environ)) == {"HF_HOME", "VLLM_API_KEY", "AWS_SECRET", "AWS_REGION", "PATH"}
    assert set(inherited(environ, ("AWS_*", "PATH"))) == {"HF_HOME", "VLLM_API_KEY"}
    assert set(inherited(environ, ("AWS",))) == set(inherited(environ)), "a name is no prefix"


def test_a_value_is_never_kept() -> None:
    frozen = inherited({"TOKEN": "sesame"})
    assert "sesame" not in str(frozen)
    assert frozen == inherited({"TOKEN": "sesame"}) != inherited({"TOKEN": "sesam"})


def test_a_difference_names_what_is_missing_added_and_changed() -> None:
    before = inherited({"A": "1", "B": "1", "C": "1", "PATH": "/bin"})
    now = inherited({"B": "2", "C": "1", "D": "1", "PATH": "/bin"})
    assert difference(before, now) == "missing: A; added: D; changed: B"
    assert difference(before, before) == ""
    assert difference(before, now, but=("A", "B", "D")) == "", "the configuration sets them"


@pytest.mark.parametrize(
    "name",
    ["PWD", "SHLVL", "INVOCATION_ID", "HOSTNAME", "SSH_CONNECTION", "DNS_SERVICE_HOST", "DNS_PORT_53_TCP_ADDR"],
)
def test_what_differs_by_occasion_is_inherited_and_not_compared(name: str) -> None:
    assert inherited({name: "here"}) == {name: ""}
    assert difference(inherited({name: "here"}), inherited({name: "there"})) == difference(inherited({name: "x"}), {})
    assert difference({}, inherited({name: "there"})) == ""


def test_a_port_that_an_engine_is_told_is_compared() -> None:
    assert difference(inherited({"MASTER_PORT": "1"}), inherited({"MASTER_PORT": "2"})) == "changed: MASTER_PORT"


def test_a_long_difference_is_cut_and_counted() -> None:
    many = inherited({f"V{number:03}": "x" for number in range(MOST_NAMES + 5)})
    assert difference(many, {}).endswith("V011 and 5 more")


def test_bytes_that_are_no_text_are_compared_too() -> None:
    assert difference(inherited({"A": "\udcff"}), inherited({"A": "\udcfe"})) == "changed: A"
