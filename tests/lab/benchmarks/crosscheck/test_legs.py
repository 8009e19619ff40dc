"""How a tool is run, and what it is asked for."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from watchtower.lab.benchmarks.crosscheck.aiperf import Aiperf
from watchtower.lab.benchmarks.crosscheck.legs import TOOLS, plain_tokens, run_tool
from watchtower.lab.benchmarks.crosscheck.trusted_tools import PATHS, ToolWork
from watchtower.vocabulary.errors import NotReachable


def test_only_words_of_plain_letters_are_asked_for(tmp_path: Path) -> None:
    vocabulary = {"<s>": 0, "Ġthe": 9, "Ġif": 3, "the": 4, "Ġthé": 5, "Ġand": 6, "Ġ123": 7, "Ċ": 8}
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocabulary}}))
    assert plain_tokens(tmp_path) == [6, 9]


async def test_a_tool_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(NotReachable, match="aiperf ended with 3:\nno such model"):
        await run_tool(Aiperf(), ["sh", "-c", "echo no such model; exit 3"], tmp_path)


async def test_what_a_tool_leaves_running_is_ended_with_it(tmp_path: Path) -> None:
    left = "import subprocess, sys; print(subprocess.Popen(['sleep', '60']).pid, flush=True)"
    await run_tool(Aiperf(), [sys.executable, "-c", left], tmp_path)
    child = int((tmp_path / "tool.log").read_bytes())
    async with asyncio.timeout(10):
        while lives(child):  # noqa: ASYNC110 - the kernel ends it in its own time
            await asyncio.sleep(0.01)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("route", PATHS)
@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_every_tool_is_asked_for_the_same_work(tool: object, route: str, tmp_path: Path) -> None:
    work = ToolWork(
        url="http://127.0.0.1:8123", model="tiny", tokenizer="/checkpoint", route=route, requests=77, at_once=3,
        prompt_tokens=128, output_tokens=64, extra={"allowed_token_ids": [6, 9]},
    )  # fmt: skip
    command = next(known for known in TOOLS if known is tool).command(Path("/venv"), work, tmp_path)
    asked = " ".join([*command, *(path.read_text() for path in tmp_path.iterdir())])
    for part in ("http://127.0.0.1:8123", "tiny", "/checkpoint", "77", "128", "64", '"allowed_token_ids": [6, 9]'):
        assert part in asked
    assert route in asked
