"""Whatever the adapter child does, the daemon gets an honest answer in time."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.adapters.scripted import Script, served
from tests.contracts.engines import ProcessTree, process_tree
from tests.waiting import until
from watchtower.adapters.adapter_child import AdapterChild
from watchtower.adapters.calls import Setup, setup
from watchtower.adapters.keeper.process_tree import everything, look
from watchtower.clock import SystemClock
from watchtower.knobs import EngineSettings, SupervisorSettings
from watchtower.testing.adapters import eventually, incarnation, plan
from watchtower.vocabulary.actions import Answer, Capabilities, Incarnation, ReplyKind, Verb
from watchtower.vocabulary.facts import CanaryOutcome

SOMEBODY = Incarnation("1", "1", "boot")
READY = "import sys, time; sys.stdin.readline(); print('{\"id\":0}', flush=True)\n"
DEAF = READY + "time.sleep(60)"
"""A child that is ready and then never answers."""


def settings(url: str = "http://127.0.0.1:9", tree: ProcessTree | None = None) -> Setup:
    return setup(
        EngineSettings(url=url, model="tiny", api_key=SecretStr("sesame")),
        tree.settings if tree else SupervisorSettings(),
        str(tree.state if tree else "/nowhere"),
        "Say one word.",
    )


Make = Callable[..., AdapterChild]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[AdapterChild] = []

    def start(
        what: Setup,
        program: str = "",
        observe_seconds: float = 5.0,
        execute_seconds: float = 30.0,
        start_seconds: float = 30.0,
    ) -> AdapterChild:
        command = ("-S", "-c", program) if program else ("-m", "watchtower.programs.adapter")
        child = AdapterChild(
            what,
            SystemClock(),
            observe_seconds=observe_seconds,
            execute_seconds=execute_seconds,
            checkpoint_seconds=observe_seconds,
            start_seconds=start_seconds,
            program=(sys.executable, *command),
        )
        made.append(child)
        return child

    yield start
    for child in made:
        await child.close()


async def test_it_carries_every_call_to_a_real_engine_and_back(make: Make, tmp_path: Path) -> None:
    answers = Script(
        health=(200, ""),
        version=(200, {"version": "0.32.0"}),
        metrics=(200, "vllm:num_requests_running 2\n"),
        v1__completions=(200, {"choices": [{"text": "x"}]}),
    )
    with served(answers) as script, process_tree(tmp_path) as tree:
        child = make(settings(script.url, tree))
        assert await child.start()
        seen = await child.observe()
        assert (seen.known, seen.serving, seen.version) == (True, True, "0.32.0")
        assert seen.incarnation == incarnation(tree)
        assert (await child.capabilities()).verbs == (Verb.RESTART_GROUP, Verb.ROLLBACK)
        assert (await child.scrape()).running == 2.0
        assert (await child.canary("c", 1.0, 5.0)).outcome is CanaryOutcome.SERVED
        assert (await child.execute(plan("op", seen.incarnation))).kind is ReplyKind.ACKED
        assert await child.status("op") is Answer.DONE
        assert await child.fence(3) is True
        assert (await child.execute(plan("low", seen.incarnation))).kind is ReplyKind.REJECTED


async def test_a_child_that_does_not_answer_is_killed_at_the_deadline_and_the_outcome_is_unknown(make: Make) -> None:
    child = make(settings(), DEAF, observe_seconds=0.3, execute_seconds=0.3)
    assert await child.start()
    seen = await child.observe()
    assert (seen.known, seen.incarnation) == (False, None)
    assert "no answer to observe within 0.3 s" in seen.because
    assert child.kills >= 1
    assert await child.start()
    assert (await child.execute(plan("op", SOMEBODY))).kind is ReplyKind.UNKNOWN
    assert await child.start()
    assert await child.status("op") is Answer.CANNOT_TELL
    assert await child.start()
    assert await child.fence(1) is False
    assert await child.start()
    assert await child.capabilities() == Capabilities()


async def test_a_child_that_starts_slower_than_a_call_may_take_still_tells_its_capabilities(make: Make) -> None:
    able = 'print(\'{"id":1,"value":{"verbs":["restart_group"]}}\', flush=True)\n'
    slow = READY.replace("; print", "; time.sleep(0.8); print")
    child = make(settings(), slow + "sys.stdin.readline()\n" + able + "time.sleep(60)", observe_seconds=0.5)
    assert (await child.capabilities()).verbs == (Verb.RESTART_GROUP,)


async def test_a_child_that_never_becomes_ready_is_given_up_whoever_waits_for_it(make: Make) -> None:
    child = make(settings(), "import time; time.sleep(60)", start_seconds=0.3)
    waiting = asyncio.gather(child.observe(), child.execute(plan("op", SOMEBODY)))
    seen, reply = await waiting
    assert "did not become ready" in seen.because
    assert (reply.kind, "nothing was sent" in reply.because) == (ReplyKind.REJECTED, True)
    assert child.kills == 1
    assert not child.up


async def test_a_canary_without_an_answer_is_hung_and_the_child_lives_on(make: Make) -> None:
    with served(Script(v1__completions=(200, None), health=(200, ""))) as script:
        child = make(settings(script.url))
        assert await child.start()
        hanging = asyncio.gather(child.canary("c", 1.0, 0.5))
        assert (await child.observe()).serving  # not held up by the canary
        assert [ended.outcome for ended in await hanging] == [CanaryOutcome.HUNG]
        assert child.kills == 0


async def test_a_restart_does_not_wait_for_weights_that_a_hung_engine_never_tells(make: Make, tmp_path: Path) -> None:
    card = {"data": [{"id": "tiny", "root": "/weights"}]}
    hung = Script(v1__models=(200, card), weight_checker=(200, None), health=(200, ""))
    with served(hung) as script, process_tree(tmp_path) as tree:
        child = make(settings(script.url, tree), observe_seconds=20.0, execute_seconds=8.0)
        assert await child.start()
        reading = asyncio.get_running_loop().create_task(child.checkpoint())
        async with asyncio.timeout(10):
            while not any(path == "/weight_checker" for path, _, _ in script.asked):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert (await child.execute(plan("op", incarnation(tree)))).kind is ReplyKind.ACKED
        assert not reading.done()
        script.over.set()
        assert not (await reading).observed


async def test_a_canary_of_a_deaf_child_is_hung_without_killing_it(make: Make) -> None:
    child = make(settings(), DEAF)
    assert await child.start()
    assert (await child.canary("c", 1.0, 0.1)).outcome is CanaryOutcome.HUNG
    assert child.kills == 0


@pytest.mark.parametrize(
    "program",
    [
        READY + "sys.stdin.readline(); print('nonsense', flush=True); time.sleep(60)",
        READY + 'sys.stdin.readline(); print(\'{"id":1,"value":{"known":7}}\', flush=True); time.sleep(60)',
        READY + "sys.stdin.readline(); print('x' * (3 << 20), flush=True); time.sleep(60)",
        READY + "sys.stdin.readline(); sys.exit(3)",
        "import sys; sys.exit(3)",
    ],
    ids=["garbage", "wrong shape", "endless line", "death in mid-call", "death at start"],
)
async def test_garbage_and_death_are_unknown_never_an_answer(make: Make, program: str) -> None:
    child = make(settings(), program)
    seen = await child.observe()
    assert not seen.known
    assert "adapter child" in seen.because
    assert child.kills == 1


async def test_an_operation_that_was_never_sent_is_rejected_and_one_that_was_is_unknown(make: Make) -> None:
    never = make(settings(), "import sys; sys.exit(3)")
    assert (await never.execute(plan("op", SOMEBODY))).kind is ReplyKind.REJECTED
    sent = make(settings(), READY + "sys.stdin.readline(); sys.exit(3)")
    assert (await sent.execute(plan("op", SOMEBODY))).kind is ReplyKind.UNKNOWN


async def test_a_killed_child_is_replaced_at_the_next_call(make: Make) -> None:
    with served(Script(health=(200, ""))) as script:
        child = make(settings(script.url))
        assert await child.start()
        assert (await child.observe()).serving
        os.kill(_pid(), signal.SIGKILL)
        await until(lambda: not child.up)  # its death was noticed
        assert await child.start()
        assert (await child.observe()).serving
        assert child.kills == 1


async def test_a_canary_whose_child_died_says_nothing_about_the_engine(make: Make) -> None:
    child = make(settings(), READY + "sys.stdin.readline(); sys.exit(3)")
    assert (await child.canary("c", 1.0, 5.0)).outcome is CanaryOutcome.UNKNOWN


async def test_the_key_stands_on_no_command_line_and_in_no_representation(make: Make) -> None:
    with served(Script(health=(200, ""))) as script:
        child = make(settings(script.url))
        assert await child.start()
        assert "sesame" not in _public(_pid())
    assert "sesame" not in repr(settings())


async def test_the_child_leaves_when_the_daemon_is_gone(tmp_path: Path) -> None:
    daemon = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DAEMON, stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert daemon.stdout is not None
    child = int(await daemon.stdout.readline())
    os.kill(daemon.pid, signal.SIGKILL)
    await daemon.wait()
    assert eventually(lambda: (process := look(child)) is None or process.state == "Z")


DAEMON = """
import asyncio, os
from watchtower.adapters.calls import setup
from watchtower.adapters.adapter_child import AdapterChild
from watchtower.clock import SystemClock
from watchtower.knobs import EngineSettings, SupervisorSettings
async def main():
    what = setup(EngineSettings(url="http://127.0.0.1:9"), SupervisorSettings(), "/nowhere", "")
    child = AdapterChild(what, SystemClock())
    await child.start()
    print(child.pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def _children() -> list[int]:
    return [process.pid for process in everything().values() if process.parent == os.getpid() and process.state != "Z"]


def _public(pid: int) -> str:
    return "".join(Path(f"/proc/{pid}/{name}").read_text() for name in ("cmdline", "environ"))


def _pid() -> int:
    (pid,) = _children()
    return pid
