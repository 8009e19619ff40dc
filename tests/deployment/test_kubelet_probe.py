"""The liveness probe that restarts its own container on request: the very script of the manifest, as a real shell runs
it, with the start times of real processes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployment.files import KUBERNETES, read


def manifest() -> dict[str, object]:
    patch = read(KUBERNETES / "components" / "kubelet-probe" / "patch.yaml")
    probe: dict[str, object] = patch["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]
    return probe


class Pod:
    """The shared directory, and whoever is PID 1 of the engine's container now."""

    def __init__(self, shared: Path) -> None:
        self.shared = shared
        shared.mkdir()
        self.engine = subprocess.Popen(["sleep", "60"])

    def restart(self) -> None:
        self.end()
        old = self.started()
        while self.started() == old:  # start times count in hundredths of a second
            self.engine = subprocess.Popen(["sleep", "60"])
            if self.started() == old:
                self.end()

    def end(self) -> None:
        self.engine.kill()
        self.engine.wait()

    def started(self) -> str:
        try:
            return Path(f"/proc/{self.engine.pid}/stat").read_text().rpartition(") ")[2].split()[19]
        except OSError:
            return ""

    def probe(self) -> bool:
        command = manifest()["exec"]["command"]  # type: ignore[index]
        script = (
            command[-1].replace("/proc/1/", f"/proc/{self.engine.pid}/").replace("/run/watchtower", str(self.shared))
        )
        return subprocess.run([*command[:-1], script], capture_output=True, check=False).returncode == 0


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    found = Pod(tmp_path / "shared")
    yield found
    found.end()


def test_it_passes_while_nobody_asks_and_writes_down_who_runs(pod: Pod) -> None:
    assert pod.probe()
    assert (pod.shared / "start").read_text().strip() == pod.started()


def test_it_fails_when_asked_to_restart_exactly_this_one_and_passes_after_the_restart(pod: Pod) -> None:
    assert pod.probe()
    (pod.shared / "restart").write_text((pod.shared / "start").read_text())
    assert not pod.probe()
    assert not pod.probe(), "the kubelet asks failureThreshold times"
    pod.restart()
    assert pod.probe(), "the wish was for the one before"
    assert (pod.shared / "start").read_text().strip() == pod.started()


@pytest.mark.parametrize("wish", ["", "1", "garbage\nof two lines"])
def test_a_stale_or_broken_wish_is_none(pod: Pod, wish: str) -> None:
    (pod.shared / "restart").write_text(wish)
    assert pod.probe()


def test_it_fails_open_where_nothing_can_be_written_or_read(pod: Pod) -> None:
    pod.shared.rmdir()
    assert pod.probe()
    pod.shared.mkdir()
    pod.end()
    assert pod.probe(), "no start time can be read: nobody was asked to be restarted"


def test_one_late_probe_on_a_busy_node_is_no_wish() -> None:
    assert int(str(manifest()["failureThreshold"])) >= 3
