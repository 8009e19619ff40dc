"""The gpu child as a process: it heals when the driver does, says so when it cannot, and lets go when told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import msgspec

from tests.hardware.machine import QUICK, Machine, gpu_of, sampled, uuid
from watchtower.hardware.gpu_plan import AGAIN
from watchtower.vocabulary.errors import ExitCode
from watchtower.vocabulary.gpus import Trouble


def test_it_says_wedged_while_a_call_hangs_and_goes_on_when_it_returns(machine: Machine) -> None:
    with machine.child() as child:
        child.report(sampled)
        machine.scene("gpus 8", "hang 5 nvmlDeviceGetPowerUsage")
        wedged = [child.report(lambda report: report.trouble) for _ in range(3)]
        assert {report.trouble for report in wedged} == {Trouble.DRIVER_WEDGED}
        assert wedged[-1].at - wedged[0].at < 2, "about as often as it would report"
        machine.scene("gpus 8")
        healed = child.report(sampled)
        assert healed.trouble is None
        assert len(healed.gpus) == 8


def test_a_call_that_is_slow_but_returns_in_time_is_no_trouble(machine: Machine) -> None:
    with machine.child(msgspec.structs.replace(QUICK, call_seconds=30.0)) as child:
        child.report(sampled)
        machine.scene("gpus 8", "hang 5 nvmlDeviceGetPowerUsage")
        before = child.signs_of_life
        time.sleep(0.5)
        assert child.signs_of_life > before, "it breathes while it waits"
        machine.scene("gpus 8")
        assert child.report(sampled).trouble is None


def test_a_driver_that_comes_later_is_found(machine: Machine) -> None:
    machine.scene("gpus 2", "fail * nvmlInitWithFlags 9")
    with machine.child() as child:
        assert child.report().trouble is Trouble.DRIVER_ABSENT
        machine.scene("gpus 2")
        assert len(child.report(sampled).gpus) == 2
        assert child.process.poll() is None, "nothing was open: no new process is needed"


def test_a_driver_that_went_away_needs_a_new_process(machine: Machine) -> None:
    with machine.child() as child:
        child.report(sampled)
        machine.scene("gpus 8", "fail * * 1")
        assert child.report(lambda report: report.trouble).trouble is Trouble.DRIVER_ABSENT
        assert child.ended() == AGAIN
    assert not machine.closed.exists(), "a driver that is gone is not shut down"


def test_a_gpu_that_was_missing_is_found_when_it_comes(machine: Machine) -> None:
    machine.scene("gpus 1")
    with machine.child(msgspec.structs.replace(QUICK, uuids=(uuid(0), uuid(1)))) as child:
        missing = child.report(lambda report: report.gpus)
        assert [gpu.trouble for gpu in missing.gpus] == [None, Trouble.NOT_VISIBLE]
        machine.scene("gpus 2")
        found = child.report(lambda report: not any(gpu.trouble for gpu in report.gpus))
        assert [gpu.uuid for gpu in found.gpus] == [uuid(0), uuid(1)]


def test_neighbours_are_not_touched_where_uuids_are_configured(machine: Machine) -> None:
    machine.scene("gpus 8", "hang 3 *", "hang 3 nvmlDeviceGetHandleByUUID", "hang 3 nvmlDeviceGetHandleByIndex_v2")
    with machine.child(msgspec.structs.replace(QUICK, uuids=(uuid(6), uuid(7)))) as child:
        report = child.report(lambda report: report.trouble or sampled(report))
        assert [gpu.uuid for gpu in report.gpus] == [uuid(6), uuid(7)]


def test_mig_switched_at_run_time_changes_what_is_refused(machine: Machine) -> None:
    machine.scene("gpus 1", "set 0 mig 1", "fail 0 nvmlDeviceGetMemoryInfo 4")
    with machine.child() as child:
        mig = gpu_of(child.report(sampled), 0)
        assert mig.utilization == []
        assert mig.unavailable["utilization"] is Trouble.MIG
        assert mig.unavailable["memory_used_bytes"] is Trouble.NO_PERMISSION
        machine.scene("gpus 1")
        whole = gpu_of(child.report(lambda report: gpu_of(report, 0).utilization), 0)
        assert whole.unavailable == {}
        assert whole.memory_used_bytes is not None


def test_a_refusal_is_asked_once(machine: Machine) -> None:
    machine.scene("gpus 1", "fail 0 nvmlDeviceGetPowerUsage 3")
    with machine.child() as child:
        assert gpu_of(child.report(sampled), 0).unavailable["power_watts"] is Trouble.NOT_SUPPORTED
        machine.scene("gpus 1", "hang 0 nvmlDeviceGetPowerUsage")  # a second question would hang
        time.sleep(1.0)
        later = child.report(sampled)
        assert later.trouble is None
        assert gpu_of(later, 0).unavailable["power_watts"] is Trouble.NOT_SUPPORTED


def test_an_event_before_the_registration_is_history(machine: Machine) -> None:
    machine.scene("gpus 2", "xid 0 48")
    with machine.child() as child:
        child.report(sampled)
        machine.scene("gpus 2", "xid 0 48", "xid 1 94")
        heard = child.report(lambda report: report.xids)
        assert [(xid.uuid, xid.number) for xid in heard.xids] == [(uuid(1), 94)]
        assert abs(heard.xids[0].at - heard.at) < 2


def test_a_registration_that_spoils_the_set_costs_only_its_own_gpu_the_events(machine: Machine) -> None:
    machine.scene("gpus 3", "fail 1 nvmlDeviceRegisterEvents 999")
    with machine.child() as child:
        spoiled = child.report(lambda report: report.gpus and "xids" in gpu_of(report, 1).unavailable)
        assert gpu_of(spoiled, 1).unavailable["xids"] is Trouble.FAULT
        assert "xids" not in gpu_of(spoiled, 0).unavailable
        time.sleep(0.2)
        machine.scene("gpus 3", "fail 1 nvmlDeviceRegisterEvents 999", "xid 2 94")
        assert child.report(lambda report: report.xids).xids[0].uuid == uuid(2)


def test_events_that_hang_take_nothing_else_with_them(machine: Machine) -> None:
    with machine.child() as child:
        child.report(sampled)
        machine.scene("gpus 8", "hang * nvmlEventSetWait_v2")
        report = child.report(lambda report: report.gpus and "xids" in report.gpus[0].unavailable)
        assert report.trouble is None
        assert report.gpus[0].unavailable["xids"] is Trouble.DRIVER_WEDGED


def test_pids_are_told_as_this_container_sees_them(machine: Machine) -> None:
    machine.scene("gpus 2", "set 0 pid 4711")
    with machine.child() as child:
        report = child.report(sampled)
        assert [gpu.processes for gpu in report.gpus] == [[4711], []]


def test_told_to_stop_it_closes_nvml_once_and_ends(machine: Machine) -> None:
    with machine.child() as child:
        child.report(sampled)
        assert child.process.stdin is not None
        child.process.stdin.write(b"stop\n")
        child.process.stdin.flush()
        assert child.ended() == ExitCode.OK
        assert machine.closed.read_text().split() == [str(child.process.pid)]


def test_it_ends_at_the_end_of_its_input_even_inside_a_call(machine: Machine) -> None:
    with machine.child() as child:
        child.report(sampled)
        machine.scene("gpus 8", "hang 5 nvmlDeviceGetPowerUsage")
        child.report(lambda report: report.trouble)
        assert child.process.stdin is not None
        child.process.stdin.close()
        assert child.ended() == ExitCode.OK
        assert not machine.closed.exists(), "a shutdown beside a call in flight would crash"


def test_it_dies_with_its_parent_even_where_no_pipe_tells_it(machine: Machine) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, msgspec.json.encode(QUICK).decode()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=machine.environment(),
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    with parent, parent.stdin, parent.stdout:
        pid = int(parent.stdout.readline())
        _wait_for(lambda: len(os.listdir(f"/proc/{pid}/task")) > 2)  # its threads are at work
        parent.kill()
        parent.wait()
        _wait_for(lambda: not _alive(pid))


PARENT = """
import subprocess, sys, time
one = subprocess.Popen([sys.executable, "-m", "watchtower.programs.gpu", sys.argv[1]], stdout=subprocess.DEVNULL)
print(one.pid, flush=True)
time.sleep(60)
"""


def _wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_plan_that_is_none_is_refused_with_a_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "watchtower.programs.gpu", '{"poll_secnds": 1}'],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == ExitCode.BAD_INPUT
    assert "poll_secnds" in done.stderr


def test_a_stopped_child_gives_no_sign_of_life(machine: Machine) -> None:
    """What the parent goes by: breathing needs the interpreter to run."""
    with machine.child() as child:
        child.report(sampled)
        os.kill(child.process.pid, signal.SIGSTOP)
        time.sleep(0.2)
        before = child.signs_of_life
        time.sleep(0.5)
        assert child.signs_of_life == before
