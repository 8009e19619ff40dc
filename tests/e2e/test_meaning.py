"""References captured, other weights noticed, and not a word of users or their answers kept anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.outside import Clients, Pager, Said, watchtower
from tests.e2e.stack import Stack
from watchtower.vocabulary.errors import ExitCode
from watchtower.vocabulary.references import CAUSES

PROMPT = "planted-prompt-91c4de: the patient's number is 4929-1812-7731-0092"

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


def readings(stack: Stack) -> dict[str, dict[str, Any]]:
    return {reading["name"]: reading for reading in stack.status()["readings"]}


def reads_low(stack: Stack, name: str) -> bool:
    value = readings(stack)[name]["value"]
    return value is not None and value < 0.3


class Run:
    """What was seen, in the order in which it happened."""

    stack: Stack
    pager: Pager
    answers: list[str]
    before: Said
    captured: Said
    shown: Said
    healthy: dict[str, dict[str, Any]]
    drifted: dict[str, dict[str, Any]]
    cache: dict[str, dict[str, Any]]
    refused: Said
    meant: Said
    settled: dict[str, dict[str, Any]]
    exported: Path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    run = Run()
    directory = tmp_path_factory.mktemp("meaning")
    run.pager, run.exported = Pager(), directory / "references.json"
    with run.pager.listening() as sink:
        run.stack = stack = Stack(
            directory,
            remediation={"mode": "observe"},
            scoring={"encoder": "none"},
            sinks=[{"kind": "log"}, sink],
        )
        state = ("--state-dir", str(stack.state))
        try:
            stack.start()
            run.before = watchtower("references", "list", *state)
            with Clients(stack.relay, PROMPT, count=2) as clients:
                run.captured = watchtower("references", "capture", "--json", *state, within=120)
                run.shown = watchtower("references", "show", *state)
                watchtower("references", "export", "--output", str(run.exported), *state)
                stack.until(lambda: readings(stack)["cache_agreement.mean"]["value"] == 1.0, 60, "clean readings")
                run.healthy = readings(stack)
                stack.fault(kind="drift", checkpoint="tiny-other")
                stack.until(lambda: run.pager.told("incident.opened"), 60, "an incident")
                stack.until(lambda: (readings(stack)["logprob_shift.mean"]["low"] or 0) > 0.4, 60, "the whole shift")
                stack.until(lambda: "weights_changed" in stack.status()["incident"]["rules"], 60, "the rule of weights")
                run.drifted = readings(stack)
                stack.fault(kind="none")
                stack.until(lambda: readings(stack)["logprob_shift.mean"]["value"] == 0, 60, "the old weights")
                stack.fault(kind="kv_cache")
                stack.until(lambda: reads_low(stack, "cache_agreement.mean"), 60, "a sick cache")
                run.cache = readings(stack)
                stack.fault(kind="drift", checkpoint="tiny-other")
                stack.until(lambda: "weights_changed" in stack.status()["incident"]["rules"], 60, "other weights again")
                run.refused = watchtower("references", "capture", *state)
                run.meant = watchtower("references", "capture", "--meant", "--json", *state, within=120)
                stack.until(lambda: stack.status()["incident"] is None, 60, "the incident ends")
                run.settled = readings(stack)
            run.answers = clients.answers
            assert clients.failed == []
            yield run
        finally:
            stack.end()


def test_before_a_capture_everything_about_meaning_is_unknown_and_says_what_to_run(run: Run) -> None:
    assert run.before.code == 1 and "watchtower references capture" in run.before.out.replace("\n", " ")


def test_a_capture_blesses_and_shows_how_much_answers_differ(run: Run) -> None:
    assert run.captured.code == 0, run.captured.err
    told = json.loads(run.captured.out)
    assert told["state"] == "done" and told["done"] == told["total"] > 0 and told["tokens"] > 0
    assert told["id"] in run.shown.out and "fact-sea" in run.shown.out and "█" in run.shown.out


def test_a_healthy_engine_reads_the_same_as_when_it_was_blessed(run: Run) -> None:
    assert run.healthy["logprob_shift.mean"]["value"] == 0
    assert run.healthy["prefix_agreement.mean"]["value"] == 1
    assert run.healthy["malformed_output.ratio"]["value"] == 0
    assert "encoder" in run.healthy["similarity.mean"]["because"]


def test_a_sick_prefix_cache_is_told_apart_from_other_weights(run: Run) -> None:
    assert run.cache["logprob_shift.mean"]["value"] == 0
    assert CAUSES["kv_cache"] in run.cache["cache_agreement.mean"]["detail"]


def test_other_weights_are_an_incident_that_names_its_cause_and_would_roll_back(run: Run) -> None:
    assert run.drifted["logprob_shift.mean"]["value"] > 0.4
    assert CAUSES["weights"] in run.drifted["logprob_shift.mean"]["detail"]
    (opened, *_) = run.pager.told("incident.opened")
    assert "other weights" in opened["text"]
    explained = " ".join(watchtower("explain", opened["incident"], "--state-dir", str(run.stack.state)).out.split())
    assert "weights_changed" in explained and "more or less likely" in explained


def test_weights_that_were_meant_become_the_measure_and_so_end_their_incident(run: Run) -> None:
    assert run.refused.code == ExitCode.REFUSED and "references capture --meant" in " ".join(run.refused.err.split())
    assert run.meant.code == 0, run.meant.err
    assert run.settled["logprob_shift.mean"]["value"] == 0


def test_what_canaries_cost_stands_in_the_metrics(run: Run) -> None:
    text = run.stack.http.get(f"{run.stack.web}/metrics").text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("watchtower_reference"))
    assert float(values["watchtower_references"]) == 24
    assert float(values['watchtower_reference_rounds_total{result="changed"}']) >= 1
    assert float(values["watchtower_reference_tokens_total"]) > 1000


def test_no_word_of_users_or_their_answers_is_kept_or_told(run: Run) -> None:
    text = max(run.answers, key=len)
    # longer than any answer to a reference (16 tokens), whose sentences the simulated model also says to users
    planted = [PROMPT[:22], "4929-1812", text[:110], text[-110:]]
    assert len(text) > 110
    state = ("--state-dir", str(run.stack.state))
    web = run.stack.http
    seen: dict[str, bytes] = {
        "webhooks": b"\n".join(webhook.body for webhook in run.pager.arrived),
        "daemon log": run.stack.log.read_bytes(),
        "exported set": run.exported.read_bytes(),
        "command line": "".join(
            part
            for command in (("explain",), ("status", "--readings"), ("references", "list"), ("references", "show"))
            for part in watchtower(*command, *state)[1:]
        ).encode(),
    }
    for path in ("metrics", "api/v1/status", "api/v1/incidents", "api/v1/references", "api/v1/references/show"):
        seen[path] = web.get(f"{run.stack.web}/{path}").content
    for file in run.stack.state.rglob("*"):
        if file.is_file() and file.name != "engine.log":  # that one is the engine's own
            seen[file.name] = file.read_bytes()
    assert {"references.db", "journal.db", "relay-0.log"} <= set(seen)
    assert [(where, word) for where, content in seen.items() for word in planted if word.encode() in content] == []


def test_an_exported_set_is_taken_back_after_it_was_retired(run: Run) -> None:
    state = ("--state-dir", str(run.stack.state))
    id, meant = json.loads(run.captured.out)["id"], json.loads(run.meant.out)["id"]
    assert watchtower("references", "retire", meant, *state).code == 0
    assert watchtower("references", "list", *state).code == 1, "what it replaced does not come back by itself"
    back = watchtower("references", "import", str(run.exported), *state)
    assert (back.code, back.err) == (0, "") and id in back.out
    assert watchtower("references", "list", *state).code == 0
    assert watchtower("references", "import", str(run.stack.config), *state).code == 5
