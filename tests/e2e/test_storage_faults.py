"""Without a memory that can be trusted Watchtower observes, says so, and does nothing else."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.outside import Clients, Pager, processes, runs, taken_port, watchtower
from tests.e2e.stack import Stack
from tests.storage.samples import fill, opened

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def pager() -> Pager:
    return Pager()


@pytest.fixture
def sink(pager: Pager) -> Iterator[dict[str, str]]:
    with pager.listening() as sink:
        yield sink


def answers(stack: Stack) -> bool:
    return stack.http.get(f"{stack.web}/-/ready").status_code in (200, 503)


def test_a_state_directory_that_cannot_be_one(
    tmp_path: Path, pager: Pager, sink: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    makeshift = Path(tempfile.mkdtemp(prefix="wt-", dir="/tmp"))
    monkeypatch.setenv("TMPDIR", str(makeshift))
    stack = Stack(tmp_path, sinks=[sink], state_directory=str(tmp_path / "file" / "state"))
    try:
        stack.start(ready=False)
        stack.until(lambda: answers(stack) and pager.told("watchtower.storage_fault"), 20, "people are told")
        status: dict[str, Any] = stack.status()
        assert "state directory is unusable" in status["storage_fault"]
        stack.until(lambda: stack.status()["relay"]["workers"] == 1, 10, "the relay reports")
        engine = processes("watchtower.programs.simulator", stack.engine.rpartition(":")[2])
        assert engine == [], "nothing could be remembered about an engine: none was started"
        (told,) = pager.told("watchtower.storage_fault")
        assert "only observes" in told["text"] and told["severity"] == "page"
        assert "watchtower_storage_fault 1.0" in stack.http.get(f"{stack.web}/metrics").text
        assert stack.process is not None
        (relay,) = processes("watchtower.programs.relay", f":{stack.relay_port}")
        stack.process.terminate()
        assert stack.process.wait(45) == 0
        assert not runs(relay), "no later daemon could find it"
        assert list(makeshift.iterdir()) == []
        assert (tmp_path / "file").read_text() == "in the way"
    finally:
        stack.end()
        shutil.rmtree(makeshift)


def test_without_a_state_directory_a_taken_port_does_not_silence_the_alert(
    tmp_path: Path, pager: Pager, sink: dict[str, str]
) -> None:
    """It may be our own earlier worker, which cannot be found any more."""
    (tmp_path / "file").write_text("in the way")
    with taken_port() as port:
        relay = {"listen": f"127.0.0.1:{port}"}
        stack = Stack(tmp_path, sinks=[sink], relay=relay, state_directory=str(tmp_path / "file" / "state"))
        try:
            stack.start(ready=False)
            stack.until(lambda: pager.told("watchtower.storage_fault"), 20, "people are told")
            assert stack.status()["relay"]["workers"] == 0
            assert stack.http.get(f"{stack.web}/-/ready").status_code == 503
        finally:
            stack.end()


async def test_a_damaged_journal_is_reported_and_left_as_it_is_and_a_hang_is_not_cured(
    tmp_path: Path, pager: Pager, sink: dict[str, str]
) -> None:
    journal = opened(tmp_path / "state")
    await fill(journal)
    await journal.close()
    file = tmp_path / "state" / "journal.db"
    content = bytearray(file.read_bytes())
    place = content.index(b"restart_group")
    content[place : place + 7] = b"rEsTaRt"
    file.write_bytes(content)
    before = {path.name: path.read_bytes() for path in (tmp_path / "state").glob("journal*")}
    stack = Stack(tmp_path, sinks=[sink])
    try:
        stack.start()
        fault = stack.status()["storage_fault"]
        assert "the journal is damaged at entry" in fault
        stack.until(lambda: pager.told("watchtower.storage_fault"), 10, "people are told")
        engine = stack.status()["engine"]["incarnation"]
        with Clients(stack.relay, "hello", count=2):
            stack.until(lambda: stack.status()["relay"]["open"] > 0, 10, "traffic")
            stack.fault(kind="hang", rank=1)
            stack.until(lambda: pager.told("incident.held"), 40, "people are told that nothing is done")
            gates = {held["gate"] for held in stack.status()["incident"]["held"]}
        assert "storage" in gates
        assert stack.api("actions")["actions"] == []
        assert stack.status()["engine"]["incarnation"] == engine
        said = watchtower("status", "--state-dir", str(stack.state))
        assert said.code == 1
        assert "observing only: the journal is damaged" in said.out
        explained = watchtower("explain", "--state-dir", str(stack.state))
        assert explained.code == 0 and "incident.open" in explained.out, "this run is remembered, in memory"
    finally:
        stack.end()
    after = {name: (tmp_path / "state" / name).read_bytes() for name in before}
    assert after == before, "whoever examines it finds every byte"
