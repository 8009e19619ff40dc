"""``watchtower check``, ``schema`` and ``rules test``: what people wrote, judged before it runs. Nothing is changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from watchtower.configuration.schema import rules_schema, settings_schema
from watchtower.configuration.yamltree import read_file
from watchtower.programs.timing import Timing, timings
from watchtower.rules.rule_files import RuleFile, load_rules
from watchtower.rules.scenarios import Report, run_scenarios
from watchtower.services.loading import Loaded, load
from watchtower.vocabulary.errors import BadInput, ExitCode, Problem
from watchtower.vocabulary.quantities import seconds


def check(
    config: Path | None,
    environ: Mapping[str, str],
    *,
    overrides: Mapping[str, str] | None = None,
    timing: bool = False,
    as_json: bool = False,
    out: Console | None = None,
) -> ExitCode:
    """Read configuration and rules as ``run`` would; every mistake, or what would run. OK or BAD_INPUT."""
    out = out or Console()
    try:
        loaded = load(config, environ, overrides)
    except BadInput as mistakes:
        _mistakes(out, mistakes.problems, as_json)
        return mistakes.exit_code
    times = timings(loaded.settings, loaded.rules) if timing else []
    if as_json:
        _json(out, _facts(loaded, times if timing else None))
        return ExitCode.OK
    _line(out, f"ok · {', '.join(str(source) for source in loaded.sources)}")
    for name, value in _summary(loaded):
        _line(out, f"  {name:<10} {value}")
    if loaded.loosened:
        _line(out, "\nlooser than the safe defaults:")
        for path, safe, used in loaded.loosened:
            _line(out, f"  {path}: {_value(safe)} → {_value(used)}")
    if timing:
        _show_timing(out, times)
    return ExitCode.OK


def schema(*, rules: bool = False, out: Console | None = None) -> ExitCode:
    """JSON Schema of the configuration (or of rule files) for editors."""
    _json(out or Console(), rules_schema(RuleFile) if rules else settings_schema())
    return ExitCode.OK


def rules_test(files: Sequence[Path], *, as_json: bool = False, out: Console | None = None) -> ExitCode:
    """Run ``x.test.yaml`` beside each ``x.yaml``. OK, PROBLEM_FOUND (a test failed) or BAD_INPUT."""
    out = out or Console()
    reports: dict[str, Report] = {}
    mistakes: list[Problem] = []
    for file in files:
        rules, tests = _pair(file)
        try:
            ruleset = load_rules([rules])
            reports[str(tests)] = run_scenarios(ruleset, read_file(tests))
        except BadInput as problem:
            mistakes += problem.problems
    passed = all(report.passed for report in reports.values()) and not mistakes
    if as_json:
        _json(out, {"ok": passed, "problems": _plain(mistakes), "files": [_report(*item) for item in reports.items()]})
    else:
        for name, report in reports.items():
            _show_report(out, name, report)
        if mistakes:
            _mistakes(out, mistakes, as_json=False)
    if mistakes:
        return ExitCode.BAD_INPUT
    return ExitCode.OK if passed else ExitCode.PROBLEM_FOUND


def _pair(file: Path) -> tuple[Path, Path]:
    """(rules, tests), whichever of the two was named."""
    if file.name.endswith(".test.yaml"):
        return file.with_name(file.name.removesuffix(".test.yaml") + ".yaml"), file
    return file, file.with_suffix(".test.yaml")


def _value(value: float | str) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


# ── what runs ───────────────────────────────────────────────────────────────────────────────────


def _summary(loaded: Loaded) -> list[tuple[str, str]]:
    settings = loaded.settings
    acting = [rule.name for rule in loaded.rules.rules if rule.acts]
    limits = settings.remediation
    modes = [str(limits.mode), *(f"{rule}: {mode}" for rule, mode in limits.modes.items())]
    supervisor = settings.supervisor
    return [
        ("target", settings.target),
        ("relay", f"{settings.relay.listen} → {settings.engine.url} ({settings.engine.kind})"),
        ("rules", f"{len(loaded.rules.rules)}; may act: {', '.join(acting) or 'none'}"),
        ("mode", f"{', '.join(modes)} (profile {limits.profile})"),
        ("supervisor", supervisor.kind + ("" if supervisor.acts else ": Watchtower tells people and never acts")),
        ("alerts", ", ".join(sink.name for sink in settings.sinks) or "nobody is told"),
        ("web", settings.web.listen),
        ("state", str(settings.state_directory)),
    ]


def _facts(loaded: Loaded, times: list[Timing] | None) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "ok": True,
        "problems": [],
        "sources": [str(source) for source in loaded.sources],
        "runs": dict(_summary(loaded)),
        "loosened": [{"path": path, "safe": safe, "used": used} for path, safe, used in loaded.loosened],
    }
    if times is not None:
        facts["timing"] = [time._asdict() for time in times]
    return facts


def _show_timing(out: Console, times: list[Timing]) -> None:
    table = Table(title="fastest / typical, after the fault begins", title_justify="left", box=None, pad_edge=False)
    for column in ("rule", "detect", "act", "verified"):
        table.add_column(column)
    for time in times:
        table.add_row(
            time.rule,
            f"{seconds(time.detect_fastest)} / {seconds(time.detect_typical)}",
            f"{seconds(time.act_fastest)} / {seconds(time.act_typical)}" if time.acts else "–",
            f"{seconds(time.verify_fastest)} / {seconds(time.verify_typical)}" if time.acts else "–",
        )
    _line(out, "")
    out.print(table)
    _line(out, "On top of 'verified' come the engine's own start and, in mode approve, a person's answer.")


# ── reports ─────────────────────────────────────────────────────────────────────────────────────


def _show_report(out: Console, name: str, report: Report) -> None:
    _line(out, name)
    for outcome in report.outcomes:
        _line(out, f"  {'FAIL' if outcome.failures else 'ok  '}  {outcome.name} ({outcome.checked} checked)")
        for failure in outcome.failures:
            _line(out, f"        {failure.where}: {failure.what} · it says: {failure.cure}")
    for rule in report.silent:
        _line(out, f"  note  {rule}: no test ever sees it breach")


def _report(name: str, report: Report) -> dict[str, Any]:
    outcomes = [
        {"name": outcome.name, "ok": not outcome.failures, "failures": _plain(outcome.failures)}
        for outcome in report.outcomes
    ]
    return {"file": name, "tests": outcomes, "never_breached": report.silent}


def _mistakes(out: Console, problems: list[Problem], as_json: bool) -> None:
    if as_json:
        _json(out, {"ok": False, "problems": _plain(problems)})
        return
    for problem in problems:
        _line(out, str(problem))
    _line(out, f"{len(problems)} mistake{'s' if len(problems) != 1 else ''}")


def _plain(problems: list[Problem]) -> list[dict[str, str]]:
    return [vars(problem) for problem in problems]


def _line(out: Console, text: str) -> None:
    """As it is: no markup, no wrapping, so that editors and grep find file:line."""
    out.print(Text(text), soft_wrap=True)


def _json(out: Console, value: Any) -> None:
    out.file.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
