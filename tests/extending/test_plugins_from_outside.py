"""An engine, a supervisor and a sink that Watchtower has never heard of: known by entry point, checked, and used."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.adapters.scripted import Script, served
from watchtower.adapters.adapter_child import AdapterChild
from watchtower.adapters.calls import setup
from watchtower.catalogue import kinds, load, settings_of
from watchtower.clock import SystemClock
from watchtower.configuration import read_settings
from watchtower.programs import doctor
from watchtower.programs.check import check, schema
from watchtower.programs.sinks import send_test
from watchtower.settings import Settings
from watchtower.sinks.log import LogSink
from watchtower.testing.adapters import plan
from watchtower.vocabulary.actions import ReplyKind, Verb
from watchtower.vocabulary.errors import ExitCode
from watchtower.vocabulary.facts import CanaryOutcome
from watchtower.vocabulary.references import Question

pytestmark = pytest.mark.usefixtures("acme")


def configuration(folder: Path, url: str = "http://127.0.0.1:1", **changes: str) -> Path:
    """All three, with ``mode: auto``: somebody can restart the engine."""
    parts = {
        "engine": f"{{kind: parrot, url: '{url}', perch: /repeat}}",
        "supervisor": f"{{kind: notebook, file: {folder / 'notebook'}, pin_file: pin}}",
        "sinks": f"[{{kind: log}}, {{kind: diary, path: {folder / 'diary.jsonl'}}}]",
    }
    (folder / "pin").write_text("1234\n")
    (folder / "notebook").write_text("1")
    file = folder / "watchtower.yaml"
    lines = [f"{name}: {text}" for name, text in (parts | changes).items()]
    file.write_text(
        "\n".join(("version: 1", *lines, "remediation: {mode: auto, single_replica: allow}"))
        + f"\nstate_directory: {folder / 'state'}\n"
    )
    return file


def read(file: Path, **environ: str) -> Settings:
    found = read_settings(file, environ)
    assert found.settings is not None and not found.problems, [str(problem) for problem in found.problems]
    return found.settings


def refused(file: Path, **environ: str) -> list[str]:
    return [str(problem).removeprefix(f"{file}:") for problem in read_settings(file, environ).problems]


def test_they_stand_in_the_catalogue_after_ours_and_cannot_take_our_names() -> None:
    assert kinds("engines") == ["vllm", "parrot"]
    assert kinds("supervisors") == ["none", "process", "notebook"]
    assert kinds("sinks")[-5:] == ["bare", "broken", "diary", "leaving", "renamed"]
    assert kinds("sinks").count("log") == 1
    assert load("sinks", "log") is LogSink
    assert settings_of("engines", "parrot").model_fields["perch"].default == "/repeat"


def test_check_accepts_them_and_says_what_would_run(tmp_path: Path) -> None:
    text = io.StringIO()
    assert check(configuration(tmp_path), {}, out=Console(file=text, width=200)) is ExitCode.OK, text.getvalue()
    assert "(parrot)" in text.getvalue()
    assert "supervisor notebook\n" in text.getvalue()
    assert "alerts     log, diary" in text.getvalue()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"sinks": "\n- {kind: diary, pth: d.jsonl}"},
            [
                "5 · sinks[0].path · missing · add path",
                "5 · sinks[0].pth · unknown name · did you mean path?",
            ],
        ),
        (
            {"sinks": "\n- {kind: diary, path: d.txt}"},
            ["5 · sinks[0].path · is no .jsonl file · name one, e.g. diary.jsonl"],
        ),
        (
            {"engine": "{kind: parott}"},
            ["2 · engine.kind · unknown kind: parott · did you mean parrot? one of: vllm, parrot"],
        ),
        ({"supervisor": "{kind: notebook}"}, ["3 · supervisor.file · missing · add file"]),
        (
            {"sinks": "\n- {kind: broken}"},
            [
                "5 · sinks[0].kind · kind broken cannot be loaded: ModuleNotFoundError · "
                "mend acme_watchtower.absent:Sink, which brings it"
            ],
        ),
        (
            {"sinks": "\n- {kind: leaving}"},
            [
                "5 · sinks[0].kind · kind leaving cannot be loaded: SystemExit · "
                "mend acme_watchtower.leaving:Sink, which brings it"
            ],
        ),
        (
            {"sinks": "\n- {kind: bare}"},
            [
                "5 · sinks[0].kind · kind bare brings no settings · "
                "its class needs Settings, a type for sinks from watchtower.knobs"
            ],
        ),
        (
            {"sinks": "\n- {kind: renamed, path: d.jsonl}"},
            [
                "5 · sinks[0].kind · kind renamed calls itself diary in its settings · "
                "give both one name: the entry point in watchtower.sinks, "
                "and kind in acme_watchtower.diary:DiarySettings"
            ],
        ),
    ],
    ids=[
        "unknown knob",
        "its own check",
        "unknown kind",
        "missing knob",
        "cannot be loaded",
        "exits",
        "no settings",
        "two names",
    ],
)
def test_a_mistake_in_them_has_its_place_and_its_cure(changes: dict[str, str], said: list[str], tmp_path: Path) -> None:
    assert refused(configuration(tmp_path, **changes)) == said


def test_variables_and_secret_files_reach_their_knobs(tmp_path: Path) -> None:
    file = configuration(tmp_path)
    settings = read(file, WATCHTOWER__ENGINE__PERCH="/elsewhere", WATCHTOWER__SINKS__1__MIN_SEVERITY="page")
    assert settings.engine.revealed()["perch"] == "/elsewhere"
    assert settings.supervisor.revealed()["pin"] == "1234"
    assert "1234" not in repr(settings)
    assert settings.sinks[1].min_severity == "page"


def test_the_schema_knows_their_knobs() -> None:
    text = io.StringIO()
    assert schema(out=Console(file=text)) is ExitCode.OK
    known = json.loads(text.getvalue())["$defs"]
    assert known["ParrotSettings"]["properties"]["perch"]["description"] == "The path on which it listens."
    assert known["NotebookSettings"]["properties"]["pin_file"]["type"] == "string"
    assert known["DiarySettings"]["required"] == ["kind", "path"]
    assert "WebhookSinkSettings" in known


async def test_the_adapter_child_talks_through_them(tmp_path: Path) -> None:
    answers = Script(status=(200, {"version": "1.0", "waiting": 3}), repeat=(200, {"said": "hello"}))
    with served(answers) as script:
        settings = read(configuration(tmp_path, script.url))
        child = AdapterChild(setup(settings.engine, settings.supervisor, str(tmp_path), "hello"), SystemClock())
        try:
            seen = await child.observe()
            assert (seen.known, seen.serving, seen.version) == (True, True, "1.0"), seen.because
            assert (await child.scrape()).waiting == 3.0
            assert (await child.canary("c", 1.0, 5.0)).outcome is CanaryOutcome.SERVED
            assert (await child.ask(Question(text="hello", seconds=5.0))).text == "hello"
            assert (await child.capabilities()).verbs == (Verb.RESTART_GROUP,), "no weights: no rollback is claimed"
            assert "cannot be read back" in (await child.checkpoint()).because
            assert seen.incarnation is not None
            assert (await child.execute(plan("op", seen.incarnation))).kind is ReplyKind.ACKED
            after = await child.observe()
            assert after.incarnation not in (None, seen.incarnation)
        finally:
            await child.close()


def test_a_notice_reaches_the_diary_and_so_does_its_end(tmp_path: Path) -> None:
    text = io.StringIO()
    assert send_test(configuration(tmp_path), {}, "diary", out=Console(file=text, width=200)) is ExitCode.OK
    lines = [json.loads(line) for line in (tmp_path / "diary.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["test", "resolved"]
    assert "taken" in text.getvalue()


def test_the_doctor_asks_them(tmp_path: Path) -> None:
    with served(Script(status=(200, {"version": "1.0", "waiting": 0}))) as script:
        settings = read(configuration(tmp_path, script.url))
        assert doctor.engine(settings).what == "parrot 1.0 serves, metrics readable"
    assert doctor.supervisor(settings).what == "notebook can restart_group"


def test_a_person_at_a_terminal_gets_the_same(tmp_path: Path) -> None:
    file = configuration(tmp_path)
    assert run("check", "--config", str(file)).returncode == ExitCode.OK
    file = configuration(tmp_path, engine="{kind: sglang}")
    done = run("check", "--config", str(file))
    assert done.returncode == ExitCode.BAD_INPUT
    assert "sglang is not spoken yet · known: vllm, parrot" in done.stdout


def run(*arguments: str) -> subprocess.CompletedProcess[Any]:
    command = [sys.executable, "-m", "watchtower.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
