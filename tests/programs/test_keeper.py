"""The keeper as a process: what it survives, what it remembers, whom it listens to."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.contracts.engines import ProcessTree, process_tree
from watchtower.adapters.keeper.crashing import CRASH_AT
from watchtower.adapters.keeper.keeper_client import ask
from watchtower.adapters.keeper.launching import KeeperFound, ensure_keeper
from watchtower.adapters.keeper.protocol import KeeperPlan, Observe, Observed
from watchtower.adapters.supervisor.process import ProcessSupervisorSettings, keeper_plan, keeper_socket
from watchtower.testing.adapters import eventually, incarnation, plan
from watchtower.vocabulary.actions import Answer, Incarnation, ReplyKind
from watchtower.vocabulary.errors import ExitCode, NotReachable


@pytest.fixture
def live(tmp_path: Path) -> Iterator[ProcessTree]:
    with process_tree(tmp_path) as tree:
        yield tree


def crash(
    directory: Path, point: str, monkeypatch: pytest.MonkeyPatch, seconds: float = 60.0
) -> tuple[ProcessTree, Incarnation]:
    """An engine whose keeper was SIGKILLed at ``point`` of operation "op" and has not been started again."""
    monkeypatch.setenv(CRASH_AT, "" if point in ("spawned", "recorded", "released") else point)
    tree = ProcessTree(directory, (), 5.0)
    tree.begin()
    before = incarnation(tree)
    if os.environ[CRASH_AT] != point:  # these points lie in the first start, too
        kill_keeper(tree)
        monkeypatch.setenv(CRASH_AT, point)
        tree.ensure_keeper()
    assert tree.supervisor.execute(plan("op", before, seconds=seconds)).kind is ReplyKind.UNKNOWN
    monkeypatch.delenv(CRASH_AT)
    return tree, before


def kill_keeper(tree: ProcessTree) -> None:
    pid = tree.keeper_pid()
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not tree.running(pid))


def settled(tree: ProcessTree, op_id: str) -> Answer:
    assert eventually(lambda: tree.supervisor.status(op_id) is not Answer.PENDING)
    return tree.supervisor.status(op_id)


@pytest.mark.parametrize(
    ("point", "answer", "starts"),
    [
        ("begun", Answer.CANNOT_TELL, 1),
        ("ended", Answer.DONE, 2),
        ("spawned", Answer.DONE, 2),
        ("recorded", Answer.DONE, 1),
        ("released", Answer.DONE, 2),
        ("done", Answer.DONE, 2),
    ],
)
def test_wherever_the_keeper_is_killed_an_operation_has_at_most_one_effect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, answer: Answer, starts: int
) -> None:
    tree, before = crash(tmp_path, point, monkeypatch)
    try:
        tree.ensure_keeper()
        assert settled(tree, "op") is answer
        assert eventually(lambda: tree.starts() == starts, 5.0)
        seen = tree.supervisor.observe(0.0)
        assert (seen.incarnation == before) is (point == "begun")
        # the late message changes nothing
        again = tree.supervisor.execute(plan("op", before))
        assert again.kind is (ReplyKind.UNKNOWN if answer is Answer.CANNOT_TELL else ReplyKind.ACKED)
        assert tree.supervisor.observe(0.0).incarnation == seen.incarnation
        assert tree.starts() == starts
    finally:
        tree.supervisor.stop()
    assert [pid for pid in tree.members() if tree.running(pid)] == []


def test_a_start_that_was_owed_is_not_made_up_for_after_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree, before = crash(tmp_path, "ended", monkeypatch, seconds=0.2)
    try:
        assert eventually(lambda: plan("", before, seconds=0.0).not_after > before_not_after(tree))
        tree.ensure_keeper()
        assert tree.supervisor.status("op") is Answer.CANNOT_TELL
        assert tree.supervisor.observe(0.0).incarnation is None
        assert tree.starts() == 1
    finally:
        tree.supervisor.stop()


def before_not_after(tree: ProcessTree) -> float:
    lines = (tree.state / "keeper.ledger").read_bytes().splitlines()
    return max(float(msgspec.json.decode(line.partition(b" ")[2]).get("not_after", 0.0)) for line in lines)


def test_the_engine_outlives_its_keeper_and_the_next_one_owns_it_and_says_so(live: ProcessTree) -> None:
    before = incarnation(live)
    kill_keeper(live)
    assert live.running(int(before.id))
    assert not live.supervisor.observe(0.0).known
    live.ensure_keeper()
    seen = live.supervisor.observe(0.0)
    assert seen.incarnation == before
    assert "adopted" in seen.because
    members = live.members()
    # the grandchild that had left session and parent is found by its mark
    assert live.supervisor.execute(plan("op", before)).kind is ReplyKind.ACKED
    assert [pid for pid in members if live.running(pid)] == []


def test_the_death_of_an_adopted_engine_is_noticed(live: ProcessTree) -> None:
    kill_keeper(live)
    live.ensure_keeper()
    os.kill(int(incarnation(live).id), signal.SIGKILL)
    assert eventually(lambda: live.supervisor.observe(0.0).because.startswith("exit status not known"))
    assert live.supervisor.observe(0.0).incarnation is None


def test_fence_and_answers_outlive_the_keeper(live: ProcessTree) -> None:
    before = incarnation(live)
    assert live.supervisor.fence(9)
    assert live.supervisor.status("never sent") is Answer.NOT_DONE
    kill_keeper(live)
    live.ensure_keeper()
    assert live.supervisor.execute(plan("low", before, fence_token=8)).kind is ReplyKind.REJECTED
    assert live.supervisor.execute(plan("never sent", before, fence_token=9)).kind is ReplyKind.REJECTED
    assert incarnation(live) == before


def test_an_operation_raises_the_fence_to_its_own_token(live: ProcessTree) -> None:
    assert live.supervisor.execute(plan("first", incarnation(live), fence_token=5)).kind is ReplyKind.ACKED
    assert live.supervisor.execute(plan("second", incarnation(live), fence_token=4)).kind is ReplyKind.REJECTED


def test_there_is_one_keeper_for_one_state(live: ProcessTree) -> None:
    wanted = keeper_plan(live.state, live.settings)
    assert ensure_keeper(wanted) == KeeperFound(live.keeper_pid(), same_plan=True)
    second = subprocess.run(
        [sys.executable, "-m", "watchtower.programs.keeper", "-"],
        input=msgspec.json.encode(wanted),
        stderr=subprocess.PIPE,
    )
    assert second.returncode == ExitCode.REFUSED
    assert b"another keeper" in second.stderr


def test_a_keeper_with_another_plan_is_reported_and_left_alone(live: ProcessTree) -> None:
    other = msgspec.structs.replace(keeper_plan(live.state, live.settings), argv=("true",))
    assert ensure_keeper(other) == KeeperFound(live.keeper_pid(), same_plan=False)


def test_sigterm_ends_engine_and_keeper(live: ProcessTree) -> None:
    keeper, members = live.keeper_pid(), live.members()
    os.kill(keeper, signal.SIGTERM)
    assert eventually(lambda: not live.running(keeper))
    assert [pid for pid in members if live.running(pid)] == []


def test_while_a_tree_is_leaving_questions_are_answered_and_a_second_operation_is_refused(tmp_path: Path) -> None:
    with process_tree(tmp_path, "stubborn", term_seconds=0.7) as live:
        before = incarnation(live)
        first = subprocess.Popen(
            [sys.executable, "-c", EXECUTE, str(live.state), msgspec.json.encode(plan("op", before))]
        )
        assert eventually(lambda: live.supervisor.observe(0.0).known and '"begun"' in ledger(live))
        assert live.supervisor.status("op") is Answer.PENDING
        assert live.supervisor.execute(plan("other", before)).because == "operation op is under way"
        assert live.supervisor.execute(plan("op", before)).kind is ReplyKind.ACKED
        assert first.wait(10) == 0
        assert eventually(lambda: live.starts() == 2)


EXECUTE = """
import sys, msgspec
from watchtower.adapters.keeper.keeper_client import ask
from watchtower.adapters.keeper.protocol import Execute, ExecutionReply
from watchtower.vocabulary.actions import Plan
ask(sys.argv[1] + "/keeper.sock", Execute(msgspec.json.decode(sys.argv[2], type=Plan)), ExecutionReply, 30)
"""


def ledger(live: ProcessTree) -> str:
    return (live.state / "keeper.ledger").read_text()


def test_a_program_that_cannot_be_found_is_refused_before_the_old_engine_is_touched(tmp_path: Path) -> None:
    program, running = tmp_path / "engine", tmp_path / "running"
    program.write_text(f"#!/bin/sh\n: > {running}\nexec {sys.executable} -c 'import signal; signal.pause()'\n")
    program.chmod(0o755)
    tree = ProcessTree(tmp_path, (), 5.0)
    tree.settings = tree.settings.model_copy(update={"command": (str(program),)})
    tree.ensure_keeper()
    try:
        assert tree.supervisor.start().yes
        before = incarnation(tree)
        assert eventually(running.exists)  # a shell opens its script only after it was executed
        program.unlink()
        reply = tree.supervisor.execute(plan("op", before))
        assert (reply.kind, incarnation(tree)) == (ReplyKind.REJECTED, before)
        assert "cannot be found" in reply.because
    finally:
        tree.supervisor.stop()


def test_the_new_engine_knows_why_it_was_started_and_nothing_of_our_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHTOWER__ENGINE__API_KEY", "sesame")
    with process_tree(tmp_path) as live:
        assert live.supervisor.execute(plan("op-1", incarnation(live))).kind is ReplyKind.ACKED
        assert eventually(lambda: live.starts() == 2)
        environment = Path(f"/proc/{incarnation(live).id}/environ").read_bytes().split(b"\0")
        assert b"WATCHTOWER_OP_ID=op-1" in environment
        assert b"WATCHTOWER_REASON=the contract suite asks for it" in environment
        assert not any(entry.startswith(b"WATCHTOWER__") for entry in environment)
        log = (live.state / "engine.log").read_text()
        assert "watchtower starts the engine, operation op-1: the contract suite asks for it" in log
        assert log.count("serving") == 2


def variables(live: ProcessTree) -> set[str]:
    """Names in the engine's environment, by the kernel."""
    entries = Path(f"/proc/{incarnation(live).id}/environ").read_bytes().split(b"\0")
    return {entry.partition(b"=")[0].decode() for entry in entries}


def test_the_engine_inherits_what_we_have_but_for_what_is_withheld(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HOME", "PAGER_KEY", "CLOUD_ID", "CLOUD_SECRET"):
        monkeypatch.setenv(name, "sesame")
    tree = ProcessTree(tmp_path, (), 5.0)
    tree.settings = tree.settings.model_copy(update={"withhold": ("PAGER_KEY", "CLOUD_*")})
    try:
        tree.begin()
        assert variables(tree) & {"HF_HOME", "PAGER_KEY", "CLOUD_ID", "CLOUD_SECRET"} == {"HF_HOME"}
        assert "sesame" not in (tree.state / "keeper.ledger").read_text(), "hashes are kept, no values"
    finally:
        tree.supervisor.stop()


def test_a_keeper_in_another_environment_restarts_nothing_and_names_the_difference(
    live: ProcessTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = incarnation(live)
    kill_keeper(live)
    monkeypatch.setenv("HF_HOME", "/elsewhere/sesame")
    live.ensure_keeper()
    reply = live.supervisor.execute(plan("op", before))
    assert (reply.kind, incarnation(live)) == (ReplyKind.REJECTED, before)
    assert "added: HF_HOME" in reply.because and "sesame" not in reply.because
    assert live.supervisor.status("op") is Answer.NOT_DONE

    end_keeper(live)
    live.ensure_keeper()
    assert live.supervisor.start().yes
    assert "HF_HOME" in variables(live), "a person had it ended, so this is a first start: it takes the new one"
    after = incarnation(live)
    assert live.supervisor.execute(plan("op-2", after)).kind is ReplyKind.ACKED, "and from then on it is the engine's"


def end_keeper(live: ProcessTree) -> None:
    """As the refusal says."""
    keeper = live.keeper_pid()
    os.kill(keeper, signal.SIGTERM)
    assert eventually(lambda: not live.running(keeper))


def test_an_engine_that_died_may_be_started_once_a_person_had_its_keeper_ended(live: ProcessTree) -> None:
    os.kill(int(incarnation(live).id), signal.SIGKILL)
    assert eventually(lambda: live.supervisor.observe(0.0).incarnation is None)
    assert not live.supervisor.start().yes, "by itself that is a decision"
    end_keeper(live)
    live.ensure_keeper()
    assert live.supervisor.start().yes


def test_a_keeper_in_the_same_environment_restarts_an_engine_that_it_adopted(
    live: ProcessTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = incarnation(live)
    kill_keeper(live)
    monkeypatch.setenv("INVOCATION_ID", "another start of the service")
    live.ensure_keeper()
    assert live.supervisor.execute(plan("op", before)).kind is ReplyKind.ACKED


def test_a_long_engine_log_is_set_aside_at_the_next_start(live: ProcessTree) -> None:
    log = live.state / "engine.log"
    with log.open("ab") as file:
        file.truncate(21 * 1024 * 1024)
    assert live.supervisor.execute(plan("op", incarnation(live))).kind is ReplyKind.ACKED
    assert (live.state / "engine.log.1").stat().st_size == 21 * 1024 * 1024
    assert log.stat().st_size < 1024


def test_everything_it_leaves_on_disk_is_for_its_user_alone(live: ProcessTree) -> None:
    for path in live.state.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name
    assert stat.S_IMODE(live.state.stat().st_mode) == 0o700


@pytest.mark.parametrize("line", [b"{}\n", b"hello\n", b'{"ask":"execute"}\n', b"\xff\n"])
def test_what_it_cannot_read_it_says_and_carries_on(live: ProcessTree, line: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(keeper_socket(live.state))
        peer.sendall(line)
        assert b"cannot be read" in peer.recv(4096)
    assert incarnation(live)


def test_a_request_that_never_ends_is_dropped(live: ProcessTree) -> None:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(keeper_socket(live.state))
        with pytest.raises((BrokenPipeError, ConnectionResetError)):  # noqa: PT012 (which send fails depends on timing)
            for _ in range(64):
                peer.sendall(b"x" * 65536)
    assert incarnation(live)


def test_a_damaged_ledger_stops_it_from_starting_and_says_where(tmp_path: Path) -> None:
    with process_tree(tmp_path) as live:
        path = live.state / "keeper.ledger"
    path.write_bytes(path.read_bytes().replace(b"engine_started", b"engine_startet", 1))
    with pytest.raises(NotReachable, match=r"keeper\.ledger:1: damaged record"):
        live.ensure_keeper()


def test_a_socket_path_longer_than_the_kernel_allows_works(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    with process_tree(deep) as live:
        assert len(keeper_socket(live.state)) > 107
        assert incarnation(live)


def test_a_plan_that_is_none_is_bad_input() -> None:
    for document in ('{"state": 1}', "nonsense"):
        said = subprocess.run(
            [sys.executable, "-m", "watchtower.programs.keeper", document], stderr=subprocess.PIPE, text=True
        )
        assert said.returncode == ExitCode.BAD_INPUT
        assert "no keeper plan" in said.stderr


def test_it_loads_nothing_heavy() -> None:
    code = (
        "import sys, watchtower.programs.keeper\n"
        "heavy = {'pydantic', 'httpx', 'numpy', 'structlog', 'httptools', 'uvloop'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_plan_tells_itself_apart_without_telling_what_is_in_it(tmp_path: Path) -> None:
    plan = keeper_plan(tmp_path, ProcessSupervisorSettings(command=("x",), environment={"TOKEN": "sesame"}))
    assert "sesame" not in plan.digest()
    assert plan.digest() != msgspec.structs.replace(plan, environment={}).digest()
    assert msgspec.json.decode(msgspec.json.encode(plan), type=KeeperPlan) == plan


def test_nobody_answers_where_no_keeper_is(tmp_path: Path) -> None:
    with pytest.raises(NotReachable):
        ask(keeper_socket(tmp_path), Observe(), Observed, 1.0)
