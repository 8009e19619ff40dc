"""A live comparison on a real vLLM: with itself it is the same, token by token, after nothing but its questions."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from tests.e2e.stack import Stack
from tests.real.conftest import Measured
from watchtower.cli import app

pytestmark = [pytest.mark.real_vllm, pytest.mark.long, pytest.mark.timeout(300)]


def test_an_engine_compared_with_itself_is_the_same(stack: Stack, measured: Measured) -> None:
    arguments = ["compare", stack.engine, stack.engine, "--no-encoder", "--max-tokens", "16", "--json"]
    done = CliRunner().invoke(app, arguments)
    found = json.loads(done.stdout)
    assert (done.exit_code, found["outcome"], found["cause"]) == (0, "same", "")
    read = found["likelihood"]
    assert read["prompts"] == found["prompts"] == 24
    measured(
        f"compared with itself: {found['identical']} of 24 texts identical, {read['nats']:.5f} nats apart over "
        f"{read['tokens']} tokens, noise {read['noise']:.5f}"
    )
