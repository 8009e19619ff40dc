from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from watchtower.storage.lease import Lease
from watchtower.vocabulary.errors import Refused, StorageFault

HOLDER = """
import sys
from pathlib import Path
from watchtower.storage.lease import Lease
lease = Lease.take(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_holder_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    lease = Lease.take(tmp_path)
    with pytest.raises(Refused, match=rf"pid {os.getpid()}\b"):
        Lease.take(tmp_path)
    lease.release()
    Lease.take(tmp_path).release()


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(Refused, match=f"pid {holder.pid}"):
            Lease.take(tmp_path)
        holder.kill()
    Lease.take(tmp_path).release()


def test_a_lock_file_that_was_removed_is_no_longer_a_lease(tmp_path: Path) -> None:
    lease = Lease.take(tmp_path)
    assert lease.held()
    (tmp_path / "lease").unlink()
    assert not lease.held()
    other = Lease.take(tmp_path)
    assert other.held() and not lease.held()
    lease.release()
    lease.release()
    assert not lease.held()
    other.release()


def test_an_unusable_directory_is_a_storage_fault() -> None:
    with pytest.raises(StorageFault, match="unusable"):
        Lease.take(Path("/proc/watchtower-state"))
