"""Every mistake in a sink is found before the daemon runs, with its place, and nothing secret is quoted."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.remediation.stage import Rule, Stage, limits
from tests.sinks.samples import ESCALATED, MODE, OPENED
from watchtower.services.delivering.recipients import audience
from watchtower.services.loading import load
from watchtower.vocabulary.errors import BadInput
from watchtower.vocabulary.incidents import IncidentState, Notice
from watchtower.vocabulary.readings import Severity


@pytest.mark.parametrize(
    ("sinks", "place", "what"),
    [
        ("- {kind: log}\n- {kind: log}", "sinks[1].name", "sinks[0] has the same name"),
        ("- {kind: slack, url: 'http://x.example/T0P'}", "sinks[0].url", "sends alerts in the clear"),
        ("- {kind: teams, url: T0P}", "sinks[0].url", "is not an https address"),
        ("- {kind: webhook, url: 'https://x.example/', secret: T0P}", "sinks[0].secret", "is not a webhook secret"),
        ("- {kind: alertmanager, urls: ['http://a:9093', 'a:9093']}", "sinks[0].urls[1]", "is not an https address"),
        ("- {kind: alertmanager, urls: ['http://a:9093'], token: T0P}", "sinks[0].urls[0]", "in the clear"),
        ("- {kind: alertmanager, urls: ['http://a'], labels: {incident: x}}", "sinks[0].labels.incident", "label"),
        ("- {kind: log, templates: {text: '{{ waht }}'}}", "sinks[0].templates.text", "'waht' is undefined"),
        (
            "- {kind: smtp, host: m.example, sender: a@b.c, recipients: ['a@b.c, d@e.f']}",
            "sinks[0].recipients[0]",
            "is not a mail address",
        ),
        (
            "- {kind: smtp, host: m.example, tls: none, sender: a@b.c, recipients: [a@b.c]}",
            "sinks[0].tls",
            "sends alerts in the clear",
        ),
    ],
)
def test_a_mistake_has_its_line_and_its_path(sinks: str, place: str, what: str, tmp_path: Path) -> None:
    file = tmp_path / "watchtower.yaml"
    file.write_text(f"version: 1\nsinks:\n{sinks}\n")
    with pytest.raises(BadInput) as raised:
        load(file, {})
    (problem,) = raised.value.problems
    assert problem.where.startswith(f"{file}:")
    assert (problem.path, what in problem.what) == (place, True), problem
    assert "T0P" not in str(problem)


SINKS = "version: 1\nsinks:\n- {kind: log}\n- {kind: log, name: channel, min_severity: warn}\n"
SINKS += "- {kind: log, name: pager, min_severity: page}\n"


def heard(tmp_path: Path, notice: Notice) -> list[str]:
    file = tmp_path / "watchtower.yaml"
    file.write_text(SINKS)
    return audience(load(file, {}).settings, notice)


def test_a_sink_hears_of_its_own_severity_and_worse(tmp_path: Path) -> None:
    warning = msgspec.structs.replace(OPENED, severity="warn")
    assert heard(tmp_path, OPENED) == ["log", "channel", "pager"]
    assert heard(tmp_path, warning) == ["log", "channel"]
    assert heard(tmp_path, MODE) == ["log"]


def test_an_escalation_and_what_nobody_knows_go_to_all(tmp_path: Path) -> None:
    for notice in (
        msgspec.structs.replace(ESCALATED, severity="info"),
        msgspec.structs.replace(OPENED, severity="new"),
    ):
        assert heard(tmp_path, notice) == ["log", "channel", "pager"]


def test_the_end_of_an_escalated_warning_reaches_whom_the_escalation_woke(tmp_path: Path) -> None:
    stage = Stage(
        limits(attempts_per_rung=1, attempts_per_incident=1), rules=[Rule(severity=Severity.WARN)], cures=False
    )
    stage.acting().until(IncidentState.ESCALATED, within=1000)
    stage.well()
    stage.command("ack_resolve", reason="mended")
    kinds = [str(notice.kind) for notice in stage.notices if "pager" in heard(tmp_path, notice)]
    assert kinds == ["escalated", "resolved"]
