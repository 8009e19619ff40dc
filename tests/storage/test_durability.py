"""What was promised survives a power cut: every sync that a promise hangs on is proven by taking the power away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.storage.power import Disk
from watchtower.storage import database, head
from watchtower.storage.aside import set_aside
from watchtower.storage.baseline_file import BaselineFile
from watchtower.storage.chain import GENESIS
from watchtower.storage.head import Head
from watchtower.storage.journal import SqliteJournal
from watchtower.storage.opledger import OpLedger
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.operations import FenceRaised
from watchtower.vocabulary.records import Entry

NOW = HandClock().now()

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>
static void note(const char *what, int fd) {
    char link[64], path[4096], line[5000];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    path[size < 0 ? 0 : size] = 0;
    int length = snprintf(line, sizeof line, "%s %s\n", what, strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
    int log = open(getenv("SYNC_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (log >= 0 && write(log, line, length) < 0) abort();
    if (log >= 0) close(log);
}
int fsync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    note("sync", fd);
    return real(fd);
}
int fdatasync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    note("sync", fd);
    return real(fd);
}
"""

COMMITS = """
import asyncio, os, sys
from pathlib import Path
from watchtower.storage.journal import SqliteJournal
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.records import Entry

async def main():
    journal, fault = SqliteJournal.open(Path(sys.argv[1]))
    assert journal is not None, fault
    for number in range(3):
        os.write(os.open(os.environ["SYNC_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND), b"commit\\n")
        await journal.commit([Entry("a.b", {"n": number})], b"state %d" % number, [], Instant(1.0, 2.0, "b"))
    os.write(os.open(os.environ["SYNC_LOG"], os.O_WRONLY | os.O_APPEND), b"end\\n")
    await journal.close()

asyncio.run(main())
"""


def test_a_head_that_was_replaced_is_there_after_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tmp_path / "state"
    state.mkdir()
    head.replace(state, Head(1, GENESIS))
    disk = Disk(state, monkeypatch)
    head.replace(state, Head(2, "a" * 64))
    assert head.read(disk.lose_power(tmp_path / "after")) == Head(2, "a" * 64)


def test_a_keepers_record_is_there_after_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tmp_path / "state"
    state.mkdir()
    disk = Disk(state, monkeypatch)
    ledger = OpLedger(state / "keeper.ledger")
    ledger.append(FenceRaised(token=7))
    ledger.close()
    assert OpLedger(disk.lose_power(tmp_path / "after") / "keeper.ledger").fence == 7


def test_a_torn_record_that_was_cut_off_stays_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tmp_path / "state"
    state.mkdir()
    ledger = OpLedger(state / "keeper.ledger")
    ledger.append(FenceRaised(token=7))
    ledger.close()
    with (state / "keeper.ledger").open("ab") as file:
        file.write(b"0000")
    disk = Disk(state, monkeypatch)
    OpLedger(state / "keeper.ledger").close()
    assert (disk.lose_power(tmp_path / "after") / "keeper.ledger").read_bytes().endswith(b"}\n")


def test_a_database_that_was_created_has_its_name_after_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(tmp_path, monkeypatch)
    database.create(tmp_path)
    assert database.DATABASE in disk.names


async def test_a_journal_that_was_set_aside_does_not_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tmp_path / "state"
    journal, fault = SqliteJournal.open(state)
    assert journal is not None, fault
    await journal.close()
    (state / "lease").touch()
    disk = Disk(state, monkeypatch)
    destination = set_aside(state, NOW)
    assert database.DATABASE not in disk.names and head.HEAD not in disk.names
    assert (destination / database.DATABASE).exists()


def test_a_baseline_is_the_old_or_the_new_one_after_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    file = BaselineFile(state / "baseline.json")
    file.write(b"old")
    disk = Disk(state, monkeypatch)
    file.write(b"new")
    os.fsync(os.open(state, os.O_RDONLY))  # the kernel may make the name durable at any time
    assert (disk.lose_power(tmp_path / "after") / "baseline.json").read_bytes() == b"new"


async def test_the_journal_waits_for_the_disk_at_every_commit(tmp_path: Path) -> None:
    journal, fault = SqliteJournal.open(tmp_path)
    assert journal is not None, fault
    connection = journal._ledger._connection
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,), "FULL: a commit that returned is on the disk"
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    await journal.commit([Entry("a.b")], None, [], NOW)
    await journal.close()


def test_each_commit_syncs_the_log_then_the_head_then_its_name(tmp_path: Path) -> None:
    """Counted from outside, below SQLite: the calls that the process really makes."""
    source, shim, log = tmp_path / "shim.c", tmp_path / "shim.so", tmp_path / "log"
    source.write_text(SHIM)
    try:
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", shim, source, "-ldl"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as problem:
        pytest.skip(f"no C compiler: {problem}")
    environment = {**os.environ, "LD_PRELOAD": str(shim), "SYNC_LOG": str(log)}
    state = tmp_path / "state"
    subprocess.run([sys.executable, "-c", COMMITS, str(state)], check=True, env=environment, timeout=60)
    commits = log.read_text().split("end\n")[0].split("commit\n")[1:]
    assert len(commits) == 3
    for synced in commits[1:]:  # the first one also begins the log
        names = [line.removeprefix("sync ") for line in synced.splitlines()]
        assert names == ["journal.db-wal", "journal.head.new", "state"]
