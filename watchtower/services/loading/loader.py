"""Configuration and rules together: one ``load``, all the mistakes of both.

Lives above the rooms because only here both are known: the limits of remediation must fit the windows of the rules,
and the modes must name rules that exist.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from watchtower.canaries.prompts import load_prompts
from watchtower.configuration import read_settings
from watchtower.configuration.consistency import contradictions
from watchtower.configuration.tree import Tree, dotted, place_of
from watchtower.detectors.load_settings import LoadSettings
from watchtower.profiles import Value, loosened
from watchtower.rules.expressions import Comparison, leaves
from watchtower.rules.rule_files import load_rules, shipped_rules
from watchtower.rules.ruleset import Ruleset
from watchtower.services.loading.sink_checks import sink_problems
from watchtower.settings import Settings
from watchtower.vocabulary.actions import Verb
from watchtower.vocabulary.errors import BadInput, Problem
from watchtower.vocabulary.readings import Unit
from watchtower.windows.window_settings import WindowSettings


@dataclass(frozen=True)
class Loaded:
    """Everything that people wrote, read and found consistent."""

    settings: Settings
    rules: Ruleset
    sources: tuple[Path, ...]
    """The files that were read, the configuration first."""
    loosened: list[tuple[str, Value, Value]]
    """(path, safe default, value in use): printed at start."""

    def window_settings(self) -> WindowSettings:
        """What the windows need, so that the limits of these rules are counted exactly."""
        evidence, remediation = self.settings.evidence, self.settings.remediation
        comparisons = [leaf for rule in self.rules.rules for leaf in leaves(rule.when) if isinstance(leaf, Comparison)]
        limits = {leaf.limit.value for leaf in comparisons if leaf.unit is Unit.SECONDS and leaf.limit.value > 0}
        defaults = WindowSettings()
        return WindowSettings(
            minimum_tokens=evidence.minimum_tokens,
            minimum_requests=evidence.minimum_requests,
            minimum_clusters=evidence.minimum_clusters,
            minimum_answers=self.settings.references.minimum_answers,
            known_blind=self.settings.relay.known_blind,
            relay_lag_seconds=evidence.relay_lag_seconds,
            warmup_requests=remediation.warmup_requests,
            warmup_seconds=remediation.warmup_seconds,
            longest_window_seconds=max(300.0, *(rule.over for rule in self.rules.rules)),
            limits=tuple(sorted(limits)),
            inter_token_bounds=tuple(sorted({*defaults.inter_token_bounds, *limits})),
            first_token_bounds=tuple(sorted({*defaults.first_token_bounds, *limits})),
            signals=tuple(signal for signal in self.rules.signals() if signal.labelled),
            model=self.settings.engine.model,
            gpu_groups=self.gpu_groups(),
        )

    def gpu_groups(self) -> tuple[tuple[str, ...], ...]:
        """UUIDs whose GPUs are compared with each other; empty: all that the source names are one group."""
        stages = tuple(stage.gpus for stage in self.settings.placement.stages if stage.gpus)
        hardware = self.settings.hardware
        return hardware.groups or stages or ((hardware.uuids,) if hardware.uuids else ())

    def load_settings(self) -> LoadSettings:
        evidence = self.settings.evidence
        return LoadSettings(
            minimum_blocks=evidence.baseline_blocks,
            block_seconds=evidence.baseline_block_seconds,
            quarantine_seconds=evidence.baseline_quarantine_seconds,
        )


def load(path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, str] | None = None) -> Loaded:
    """Read configuration, environment, overrides and rules. Raises BadInput with all the mistakes of all of them.

    Files of rules and of questions are relative to the configuration file; without rules, the shipped ``triad.yaml``
    is used (``demo.yaml`` in profile demo, whose times it fits).
    """
    problems: list[Problem] = []
    rules = Ruleset()
    read = read_settings(path, environ, overrides)
    settings = read.settings
    beside = path.parent if path else Path()
    files = [beside / file for file in settings.rules] if settings else []
    for index, file in enumerate(files):
        if not file.is_file():
            where = str(place_of(read.tree, ("rules", index)))
            problems.append(Problem(where, f"rules[{index}]", f"there is no file {file}", "paths start at this file"))
    if settings is not None and settings.references.prompts is not None:
        settings, unreadable = _questions(settings, beside / settings.references.prompts)
        problems += unreadable
    files = [file for file in files if file.is_file()] or [shipped_rules() / _DEFAULT_RULES[_profile(settings)]]
    try:
        rules = load_rules(files)
    except BadInput as problem:
        problems += problem.problems
    if settings is not None and not problems:
        slowest = rules.slowest()
        look_back, name = (slowest.over + slowest.hold_for, slowest.name) if slowest else (0.0, "")
        problems += contradictions(settings, read.tree, look_back, name)
        problems += _unknown_modes(settings, read.tree, rules)
        problems += sink_problems(settings, read.tree)
    problems = [*read.problems, *problems]
    if settings is None or problems:
        raise BadInput(problems)
    return Loaded(settings, rules, (*([path] if path else []), *files), loosened(settings))


def _questions(settings: Settings, file: Path) -> tuple[Settings, list[Problem]]:
    """The settings with the place of their questions resolved, and what is wrong with the questions."""
    problems: list[Problem] = []
    try:
        load_prompts(file)
    except BadInput as problem:
        problems = problem.problems
    references = settings.references.model_copy(update={"prompts": file})
    return settings.model_copy(update={"references": references}), problems


_DEFAULT_RULES = {"safe": "triad.yaml", "demo": "demo.yaml"}


def _profile(settings: Settings | None) -> str:
    return settings.remediation.profile if settings else "safe"


def _unknown_modes(settings: Settings, tree: Tree, rules: Ruleset) -> list[Problem]:
    names = [rule.name for rule in rules.rules]
    found = []
    for key in settings.remediation.modes:
        rule, _, verb = key.partition(".")
        route = ("remediation", "modes", key)
        where, path = str(place_of(tree, route)), dotted(route)
        if rule not in names:
            near = difflib.get_close_matches(rule, names, n=1)
            cure = f"did you mean {near[0]}?" if near else f"known rules: {', '.join(names)}"
            found.append(Problem(where, path, f"no rule is named '{rule[:60]}'", cure))
        if verb and verb not in tuple(Verb):
            found.append(Problem(where, path, f"unknown verb '{verb[:60]}'", f"one of: {', '.join(Verb)}"))
    return found
