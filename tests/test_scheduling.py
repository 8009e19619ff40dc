"""Who is served first, by the kernel's own word about real processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.strangers import needs_root
from watchtower.scheduling import FIRST, LAST, SLICE_NS, put_first, sessions_are_grouped, share_of

SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
needs_groups = pytest.mark.skipif(not sessions_are_grouped(), reason="this kernel does not group sessions")


@pytest.fixture
def child() -> Iterator[int]:
    with subprocess.Popen(SLEEP, start_new_session=True) as process:
        yield process.pid
        process.kill()


def slice_of(pid: int) -> int | None:
    """What the scheduler was asked for, in nanoseconds; None: a kernel that does not say."""
    try:
        found = re.search(r"^se\.slice\s*:\s*(\d+)", Path(f"/proc/{pid}/sched").read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) if found else None


@needs_root
@needs_groups
def test_a_child_that_is_put_first_is_so_in_its_session_and_as_a_session(child: int) -> None:
    before = share_of(child)
    put_first(child)
    after = share_of(child)
    assert (before.nice, before.session_nice) == (os.getpriority(os.PRIO_PROCESS, 0), 0)
    assert (after.nice, after.session_nice) == (FIRST, FIRST)


def test_it_is_served_sooner_without_any_right(child: int) -> None:
    if slice_of(child) is None:
        pytest.skip("this kernel does not tell slices")
    put_first(child)
    assert slice_of(child) == SLICE_NS


@needs_root
@needs_groups
def test_a_session_that_a_child_shares_with_others_is_left_alone() -> None:
    with subprocess.Popen(SLEEP) as process:
        before = share_of(os.getpid()).session_nice
        put_first(process.pid)
        assert share_of(os.getpid()).session_nice == before
        assert share_of(process.pid).nice == FIRST
        process.kill()


def test_whoever_puts_itself_last_is_so_in_both_ways() -> None:
    code = (
        "import os\n"
        "from watchtower.scheduling import put_last, share_of\n"
        "put_last()\n"
        "share = share_of(os.getpid())\n"
        "print(share.nice, share.session_nice)\n"
    )
    said = subprocess.check_output([sys.executable, "-c", code], start_new_session=True, text=True).split()
    assert said == [str(LAST), str(LAST) if sessions_are_grouped() else "None"]


def test_of_a_process_that_is_gone_nothing_is_known() -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as process:
        process.wait()
    put_first(process.pid)
    share = share_of(process.pid)
    assert (share.nice, share.session_nice, share.throttled) == (None, None, 0.0)
