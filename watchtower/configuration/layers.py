"""A configuration file, the environment and overrides → ``Settings``, or all mistakes at once."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

from watchtower import profiles
from watchtower.configuration.environment import PREFIX, overlay
from watchtower.configuration.kinds import composed, plugin_mistakes
from watchtower.configuration.secrets import holders, read_companions
from watchtower.configuration.tree import MappingNode, Place, ScalarNode, Tree, at
from watchtower.configuration.validating import validate
from watchtower.configuration.yamltree import read_file
from watchtower.settings import Settings
from watchtower.vocabulary.errors import Problem


@dataclass(frozen=True)
class SettingsRead:
    """With ``settings`` there may still be ``problems``: what a plug-in finds wrong with values of the right type."""

    settings: Settings | None
    """None: something has not even the right type, and nothing further can be checked."""
    problems: list[Problem]
    tree: Tree
    """Where everything stands, for those who check further."""


def read_settings(
    path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, str] | None = None
) -> SettingsRead:
    """Read ``path`` (None: defaults only). Raises BadInput when the file is no YAML; returns every other problem."""
    tree: Tree = read_file(path) if path else MappingNode(Place("defaults"))
    model = _kinds_named(tree, environ, overrides or {})
    problems = overlay(tree, model, environ, overrides or {})
    problems += read_companions(tree, model, path.parent if path else Path())
    profile = at(tree, ("remediation", "profile"))
    if isinstance(profile, ScalarNode) and profile.text == "demo":
        _fill(tree, {change.path: change.demo for change in profiles.DEMO}, Place("profile demo"))
    model, unknown = composed(tree)
    settings, mistakes = validate(model, tree, unknown)
    problems += mistakes
    if settings is None or problems:
        return SettingsRead(None, problems, tree)
    mistakes = plugin_mistakes(settings, tree)
    return SettingsRead(_withholding(_plain(settings), environ), mistakes, tree)


def _kinds_named(tree: Tree, environ: Mapping[str, str], overrides: Mapping[str, str]) -> type[Settings]:
    """The settings of the kinds that file, variables and flags name together: found out on a trial, because what a
    variable means depends on the kind, and the kind may stand in a variable. Mistakes are told later, once."""
    trial = deepcopy(tree)
    overlay(trial, Settings, environ, overrides)
    model, _ = composed(trial)
    return model


def _withholding(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """An engine that inherits our environment gets no secret of ours by way of it; its own key it may have."""
    others = {name: value for name, value in environ.items() if not name.startswith(PREFIX)}
    supervisor = settings.supervisor.withholding(holders(others, settings, but="engine"))
    return settings.model_copy(update={"supervisor": supervisor})


def _plain(settings: Settings) -> Settings:
    """Without the type that was made for this one document."""
    values = {name: getattr(settings, name) for name in Settings.model_fields}
    return Settings.model_construct(settings.model_fields_set, **values)


def _fill(tree: Tree, defaults: Mapping[str, float | int | str], place: Place) -> None:
    """Write every default of the profile where the user wrote nothing."""
    for path, value in defaults.items():
        *groups, name = path.split(".")
        node: Tree | None = tree
        for group in groups:
            if isinstance(node, MappingNode):
                node = node.entries.setdefault(group, MappingNode(place))
        if isinstance(node, MappingNode) and name not in node.entries:
            node.entries[name] = ScalarNode(str(value), place)
            node.keys[name] = place
