"""Each check of the doctor: fine, not asked for, or a problem that names its cure."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from tests.adapters.scripted import Script, served
from watchtower.programs import doctor
from watchtower.scheduling import CpuShare
from watchtower.services.loading import Loaded, load
from watchtower.settings import Settings
from watchtower.taps.handover import WorkerLock
from watchtower.testing.adapters import eventually
from watchtower.vocabulary.checks import Check, Health
from watchtower.vocabulary.errors import ExitCode
from watchtower.vocabulary.facts import GpuReport
from watchtower.vocabulary.gpus import GpuSource, Trouble

RULES = "version: 1\nrules:\n- {name: one, when: exchanges.open > 5}\n"


def loaded(tmp_path: Path, text: str = "", rules: str = "") -> Loaded:
    file = tmp_path / "watchtower.yaml"
    more = ""
    if rules:
        (tmp_path / "rules.yaml").write_text(rules)
        more = "rules: [rules.yaml]\n"
    file.write_text(f"version: 1\nstate_directory: {tmp_path / 'state'}\n{more}{text}")
    return load(file, {})


def test_a_configuration_with_mistakes_ends_the_examination(tmp_path: Path) -> None:
    file = tmp_path / "watchtower.yaml"
    file.write_text("relay:\n  listne: x\n")
    (only,) = doctor.examine(file, {})
    assert only.health is Health.PROBLEM and "watchtower check" in only.cure


def test_a_state_directory_may_still_have_to_be_made(tmp_path: Path) -> None:
    check = doctor.state_directory(tmp_path / "a" / "b")
    assert check.health is Health.OK and "will be made" in check.what
    assert not (tmp_path / "a").exists()


def test_a_state_directory_that_is_a_file_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "state").touch(mode=0o755)
    check = doctor.state_directory(tmp_path / "state")
    assert check.health is Health.PROBLEM and "state_directory" in check.cure


def test_a_relay_address_in_use_is_a_problem_and_a_free_one_is_not(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = loaded(tmp_path, f"relay: {{listen: '127.0.0.1:{port}'}}\n").settings
        assert doctor.relay(settings, None).health is Health.PROBLEM
    assert doctor.relay(settings, None).health is Health.OK


@pytest.mark.parametrize(("workers", "health"), [(1, Health.OK), (0, Health.PROBLEM)])
def test_of_a_running_daemon_the_workers_are_asked(tmp_path: Path, workers: int, health: Health) -> None:
    status = {"relay": {"workers": workers, "listening": "127.0.0.1:8100", "open": 0}}
    assert doctor.relay(loaded(tmp_path).settings, status).health is health


@pytest.mark.parametrize(
    ("share", "health"),
    [
        (CpuShare(nice=-10, session_nice=-10, weight=100), Health.OK),
        (CpuShare(nice=0, session_nice=None, weight=400), Health.OK),
        (CpuShare(nice=0, session_nice=19, weight=None), Health.PROBLEM),
        (CpuShare(nice=5, session_nice=None, weight=100), Health.PROBLEM),
        (CpuShare(nice=0, session_nice=0, weight=100, throttled=0.2), Health.PROBLEM),
    ],
)
def test_it_says_whether_the_relay_is_served_when_the_cpus_are_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: CpuShare, health: Health
) -> None:
    assert doctor.cpu(tmp_path).health is Health.OFF, "no relay runs"
    lock = WorkerLock(tmp_path / "relay-0.lock")
    assert lock.take(os.getpid())
    monkeypatch.setattr(doctor, "share_of", lambda pid: share)
    check = doctor.cpu(tmp_path)
    assert (check.health, f"relay {os.getpid()}: {share}" in check.what) == (health, True)
    lock.give_up()


def test_the_scorer_of_this_daemon_is_looked_at_and_no_other_child(tmp_path: Path) -> None:
    (tmp_path / "lease").write_text(f"{os.getpid()}\n")
    lock = WorkerLock(tmp_path / "relay-0.lock")
    assert lock.take(os.getpid())
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen([*sleep, "watchtower.programs.scorer"]) as scorer, subprocess.Popen(sleep) as other:
        assert eventually(lambda: f"scorer {scorer.pid}: " in doctor.cpu(tmp_path).what)
        assert f"{other.pid}:" not in doctor.cpu(tmp_path).what
        scorer.kill()
        other.kill()
    lock.give_up()


def test_an_engine_that_does_not_answer_is_a_problem(tmp_path: Path) -> None:
    check = doctor.engine(loaded(tmp_path, "engine: {url: 'http://127.0.0.1:1'}\n").settings)
    assert check.health is Health.PROBLEM and "http://127.0.0.1:1" in check.what and "engine.url" in check.cure


def test_a_keeper_is_off_missing_its_program_or_not_started(tmp_path: Path) -> None:
    def with_command(command: str) -> Check:
        return doctor.supervisor(loaded(tmp_path, f"supervisor: {{kind: process, command: [{command}]}}\n").settings)

    assert doctor.supervisor(loaded(tmp_path).settings).health is Health.OFF
    assert with_command("no-such-program-here").health is Health.PROBLEM
    assert with_command("sh").health is Health.OK


def test_gpus_that_nobody_reads_are_off_and_say_which_rules_are_blind(tmp_path: Path) -> None:
    check = doctor.gpus(loaded(tmp_path, "hardware: {source: none}\n"))
    assert check.health is Health.OFF and "gpu_imbalance" in check.what


ABSENT = GpuReport(at=1, source=GpuSource.NVML, trouble=Trouble.DRIVER_ABSENT, because="no NVIDIA driver here")


def looked(monkeypatch: pytest.MonkeyPatch, report: GpuReport) -> None:
    async def look(settings: Settings) -> GpuReport:
        return report

    monkeypatch.setattr(doctor, "_first_report", look)


def test_a_machine_without_gpus_is_well_and_says_which_rules_are_blind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked(monkeypatch, ABSENT)
    check = doctor.gpus(loaded(tmp_path), tmp_path / "no-module")
    assert check.health is Health.OFF
    assert check.what.startswith("no GPU here; UNKNOWN without: gpu_imbalance, gpu_straggler")


def test_a_driver_in_the_kernel_that_cannot_be_reached_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "version").touch()
    looked(monkeypatch, ABSENT)
    check = doctor.gpus(loaded(tmp_path), tmp_path / "version")
    assert check.health is Health.PROBLEM and "utility" in check.cure


@pytest.mark.parametrize(
    "text",
    [
        "hardware: {source: nvml}\n",
        "hardware: {uuids: [GPU-00000000-0000-4000-8000-000000000000]}\n",
        "hardware: {dcgm_url: 'http://127.0.0.1:9400/metrics'}\n",
        "placement: {stages: [{ranks: 4}]}\n",
    ],
)
def test_gpus_that_a_setting_names_must_be_there(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked(monkeypatch, ABSENT)
    assert doctor.gpus(loaded(tmp_path, text), tmp_path / "no-module").health is Health.PROBLEM


def test_a_simulated_source_is_asked_of_the_engine(tmp_path: Path) -> None:
    text = "engine: {url: 'http://127.0.0.1:1'}\nhardware: {source: simulated}\nremediation: {profile: demo}\n"
    check = doctor.gpus(loaded(tmp_path, text))
    assert check.health is Health.PROBLEM and "simulated: stale" in check.what and check.cure


@pytest.mark.parametrize(
    ("status", "health", "says"),
    [(200, Health.OK, "answers for minilm"), (500, Health.PROBLEM, "answered HTTP 500; UNKNOWN without: words")],
)
def test_of_an_embeddings_server_it_is_asked_whether_it_answers(
    tmp_path: Path, status: int, health: Health, says: str
) -> None:
    rules = "version: 1\nrules:\n- {name: words, when: similarity.mean < 0.5}\n"
    with served(Script(v1__embeddings=(status, {"data": [{"index": 0, "embedding": [1.0]}]}))) as script:
        text = f"scoring: {{encoder: server, url: '{script.url}/v1', model: minilm}}\n"
        check = doctor.encoder(loaded(tmp_path, text, rules), lambda package: False)
    assert (check.health, says in check.what) == (health, True), check.what


def test_no_encoder_on_purpose_is_no_problem_and_a_model_of_ones_own_needs_no_other(tmp_path: Path) -> None:
    off = loaded(tmp_path, "scoring: {encoder: none}\n")
    assert doctor.encoder(off, lambda package: False).health is Health.OFF
    own = loaded(tmp_path, f"scoring: {{model: {tmp_path}}}\n")
    assert doctor.encoder(own, lambda package: package == doctor.EXTRA[0]).health is Health.OK


def test_a_plugin_that_cannot_be_examined_is_a_problem_and_not_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("acme")

    monkeypatch.setattr(doctor, "load_plugin", lambda socket, kind: broken)
    loaded(tmp_path, "hardware: {source: none}\n")
    checks = {check.name: check for check in doctor.examine(tmp_path / "watchtower.yaml", {})}
    assert checks["engine"].what == "kind vllm cannot be examined: RuntimeError"
    assert checks["supervisor"].health is Health.PROBLEM
    assert "encoder" in checks


def test_a_missing_encoder_is_a_problem_only_where_a_rule_needs_it(tmp_path: Path) -> None:
    needed, unneeded = loaded(tmp_path), loaded(tmp_path, rules=RULES)
    check = doctor.encoder(needed, lambda package: False)
    assert check.health is Health.PROBLEM
    assert check.cure == "pip install 'watchtower-sidecar[similarity]'" and "meaning_drift" in check.what
    assert doctor.encoder(unneeded, lambda package: False).health is Health.OFF
    assert doctor.encoder(needed, lambda package: True).health is Health.OK


def test_the_exit_code_and_the_json_tell_the_same(tmp_path: Path) -> None:
    file = tmp_path / "watchtower.yaml"
    file.write_text(
        f"version: 1\nstate_directory: {tmp_path / 'state'}\nengine: {{url: 'http://127.0.0.1:1'}}\n"
        "hardware: {source: none}\n"
    )
    text = io.StringIO()
    assert doctor.main(file, {}, as_json=True, out=Console(file=text)) is ExitCode.PROBLEM_FOUND
    answer = json.loads(text.getvalue())
    assert answer["ok"] is False
    names = ["configuration", "state directory", "relay", "cpu", "engine", "keeper", "gpus", "encoder"]
    assert [check["name"] for check in answer["checks"]] == names
    assert all(check["cure"] for check in answer["checks"] if check["health"] == "problem")
