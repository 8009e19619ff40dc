"""Mode observe: the fault is seen, said, explained and not cured. One run, looked at from every side."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.outside import Clients, Pager, watchtower
from tests.e2e.stack import Stack
from watchtower.detectors.load_explains_latency import LoadExplainsLatency
from watchtower.programs.client import DaemonClient
from watchtower.storage.baseline_file import BaselineFile
from watchtower.storage.segments import read
from watchtower.vocabulary.errors import Refused
from watchtower.vocabulary.facts import EngineScrape, EngineSeen, RelayFrame
from watchtower.vocabulary.records import Entry

PROMPT = "planted-prompt-7f3a91: what did the surgeon whisper?"
API_KEY = "planted-api-key-5521"


def blocks_learned(stack: Stack) -> int:
    """Healthy blocks in the baseline that the daemon saved last."""
    load = LoadExplainsLatency(stack.engine)
    stored = BaselineFile(stack.state / "baseline.json").read()
    assert not stored or load.load(stored) == ""
    return load.baseline.blocks


class Run:
    """What was found when the fault had been detected."""

    stack: Stack
    pager: Pager
    before: dict[str, Any]
    answers: list[str]
    failed: list[str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    run = Run()
    run.pager = Pager(refuses=1)
    with run.pager.listening() as sink:
        run.stack = stack = Stack(
            tmp_path_factory.mktemp("observing"),
            remediation={"mode": "observe"},
            engine={"api_key": API_KEY},
            sinks=[{"kind": "log"}, sink],
        )
        try:
            stack.start()
            run.before = stack.status()["engine"]["incarnation"]
            with Clients(stack.relay, PROMPT) as clients:
                stack.until(lambda: blocks_learned(stack) >= 8, 60, "a baseline at this load")
                stack.fault(kind="slow", factor=10, rank=2)
                stack.until(lambda: run.pager.told("incident.would_act"), 40, "people are told what would be done")
                time.sleep(3)  # for whatever should not happen
            run.answers, run.failed = clients.answers, clients.failed
            yield run
        finally:
            stack.end()


pytestmark = pytest.mark.timeout(300)


def test_the_fault_is_an_incident_held_by_the_mode_alone(run: Run) -> None:
    incident = run.stack.status()["incident"]
    assert "slow_tokens" in incident["rules"]
    records = run.stack.api(f"incidents/{incident['id']}")["records"]
    (would,) = [record["body"] for record in records if record["kind"] == "action.would_act"]
    assert (would["rule"], would["verb"]) == ("slow_tokens", "restart_group")
    assert [entry["gate"] for entry in would["gates"]] == ["observe"]


def test_what_was_seen_and_decided_is_in_the_recording(run: Run) -> None:
    items = [recorded.item for recorded in read(run.stack.state, 0, 1e12)]
    assert {RelayFrame, EngineSeen, EngineScrape} <= {type(item) for item in items}
    decided = [item.kind for item in items if isinstance(item, Entry)]
    assert decided.index("incident.open") < decided.index("action.would_act")


def test_nothing_was_done_and_nobody_was_disturbed(run: Run) -> None:
    assert run.stack.api("actions")["actions"] == []
    assert run.stack.status()["engine"]["incarnation"] == run.before
    assert run.stack.http.get(f"{run.stack.engine}/sim/state").json()["fault"]["kind"] == "slow"
    assert run.failed == []
    assert len(run.answers) > 50


def test_people_are_told_what_is_wrong_and_what_would_be_done(run: Run) -> None:
    (opened,), (would,) = run.pager.told("incident.opened"), run.pager.told("incident.would_act")
    assert re.search(r"p95 per-token latency \d.* over 130 ms", opened["text"])
    assert "would now do restart_group" in would["text"] and "mode is observe" in would["text"]
    assert opened["incident"] == would["incident"]
    assert would["next_command"] == f"watchtower explain {would['incident']}"


def test_every_notice_is_signed_and_keeps_its_id_over_retries(run: Run) -> None:
    first, *later = run.pager.arrived
    assert all(webhook.valid for webhook in (first, *later))
    assert first.accepted is False
    again = next(webhook for webhook in later if webhook.id == first.id)
    assert again.accepted and again.body == first.body
    assert [webhook.id for webhook in later].count(first.id) == 1, "delivered once"
    assert all("." not in webhook.id for webhook in later)


def test_no_prompt_no_answer_and_no_secret_is_written_anywhere(run: Run) -> None:
    text = max(run.answers, key=len)
    assert len(text) > 40
    planted = [PROMPT[:22], "surgeon", text[:40], text[-40:], API_KEY, run.pager.secret]
    web = run.stack.http
    seen: dict[str, bytes] = {
        "metrics": web.get(f"{run.stack.web}/metrics").content,
        "status": web.get(f"{run.stack.web}/api/v1/status").content,
        "webhooks": b"\n".join(webhook.body for webhook in run.pager.arrived),
        "daemon log": run.stack.log.read_bytes(),
    }
    for path in run.stack.state.iterdir():
        if path.is_file() and path.name != "engine.log":  # that one is the engine's own
            seen[path.name] = path.read_bytes()
    assert {"journal.db", "relay-0.log", "keeper.log", "baseline.json"} <= set(seen)
    found = [(where, word) for where, content in seen.items() for word in planted if word.encode() in content]
    assert found == []


def test_the_command_line_tells_the_same_and_fits_the_terminal(run: Run) -> None:
    state = str(run.stack.state)
    for columns in (80, 160):
        said = watchtower("status", "--readings", "--state-dir", state, columns=columns)
        assert (said.code, said.err) == (1, "")
        assert max(map(len, said.out.splitlines())) <= columns
        assert "inter_token_latency_seconds.p95" in said.out and "slow_tokens" in said.out
        assert re.search(r"held by observe: +mode is observe", said.out)
    incident = run.stack.status()["incident"]["id"]
    said = watchtower("explain", "--state-dir", state)
    assert said.code == 0
    for word in (incident, "incident.open", "action.would_act", "notice.delivered"):
        assert word in said.out, word
    assert incident in watchtower("incidents", "--state-dir", state).out


def test_a_person_can_pause_and_resume_and_is_told_what_cannot_be(run: Run) -> None:
    state = ("--state-dir", str(run.stack.state))
    assert watchtower("pause", "-r", "deploying", *state) == (0, "pause: done\n", "")
    assert run.stack.status()["paused"]["reason"] == "deploying"
    assert watchtower("resume", *state) == (0, "resume: done\n", "")
    assert run.stack.status()["paused"] is None
    assert watchtower("resume", *state) == (5, "", "watchtower: nothing is paused\n")
    daemon = DaemonClient(run.stack.state)
    for verb, because in (("ack_resolve", "no incident is escalated"), ("breaker_reset", "the breaker is closed")):
        with pytest.raises(Refused, match=because):
            daemon.command(verb, author="ann", reason="x")


def test_changes_over_tcp_are_refused(run: Run) -> None:
    reply = run.stack.http.post(f"{run.stack.web}/api/v1/commands/pause", json={"author": "x", "reason": "x"})
    assert reply.status_code == 403
    assert run.stack.status()["paused"] is None
