"""One real vLLM for the whole session, under one `watchtower run`; its version and what was measured end the report.

Nothing here is ever skipped: without an engine the tests fail, and a skip fails the session. Tests that break the
engine come last. ``make test-real`` installs the engine first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.e2e.stack import Stack
from watchtower.clock import boottime
from watchtower.lab.demonstration.stage import EnginePlan, vllm_plan

HERE = "tests/real/"
_lines = pytest.StashKey[list[str]]()

Measured = Callable[[str], None]


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_lines] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever breaks the engine goes last."""
    items.sort(key=lambda item: "faults" in getattr(item, "fixturenames", ()))


def _reports(config: pytest.Config, outcome: str) -> list[pytest.TestReport]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    found = reporter.stats.get(outcome, []) if reporter is not None else []
    return [report for report in found if report.nodeid.startswith(HERE)]


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _reports(session.config, "skipped") and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    counts = {outcome: len(_reports(config, outcome)) for outcome in ("passed", "failed", "error", "skipped")}
    if not any(counts.values()):
        return
    terminalreporter.section("real engine")
    for line in config.stash[_lines]:
        terminalreporter.line(line)
    ran = counts["passed"] + counts["failed"]
    terminalreporter.line(f"{ran} tests ran: {', '.join(f'{count} {outcome}' for outcome, count in counts.items())}")
    if counts["skipped"]:
        terminalreporter.line("a test of the real engine was skipped: that is a failure here", red=True)


@pytest.fixture(scope="session")
def measured(pytestconfig: pytest.Config) -> Measured:
    """Tell a measurement, in one sentence, at the end of the report."""
    return pytestconfig.stash[_lines].append


@pytest.fixture(scope="session")
def plan() -> EnginePlan:
    """The demo's own: command line, environment and patience of a vLLM with two tensor-parallel workers."""
    return vllm_plan(seed=0)


@pytest.fixture(scope="session")
def stack(plan: EnginePlan, tmp_path_factory: pytest.TempPathFactory, measured: Measured) -> Iterator[Stack]:
    """``watchtower run`` with that engine under its keeper, mode auto; the engine has answered once."""
    supervisor = {
        "command": list(plan.command),
        "environment": plan.environment,
        "ready_seconds": plan.start_seconds,
    }
    stack = Stack(
        tmp_path_factory.mktemp("run"),
        engine={"url": plan.url, "model": plan.model},
        supervisor=supervisor,
        **plan.limits,
    )
    try:
        began = boottime()
        stack.start(within=plan.start_seconds)
        body = {"model": plan.model, "prompt": "Hello.", "max_tokens": 2}
        stack.http.post(f"{stack.engine}/v1/completions", json=body, timeout=240).raise_for_status()
        engine = stack.status()["engine"]
        who = f"process {engine['incarnation']['id']} started {engine['incarnation']['started']}"
        measured(f"engine: vLLM {engine['version']}, 2 workers, {who}; served after {boottime() - began:.0f} s")
        yield stack
    finally:
        stack.end()
