"""A configuration file, the environment and overrides → ``Settings``, or all mistakes at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from watchtower import profiles
from watchtower.configuration.environment import overlay
from watchtower.configuration.secrets import read_companions
from watchtower.configuration.tree import MappingNode, Place, ScalarNode, Tree, at
from watchtower.configuration.validating import validate
from watchtower.configuration.yamltree import read_file
from watchtower.settings import Settings
from watchtower.vocabulary.errors import Problem


@dataclass(frozen=True)
class SettingsRead:
    """``settings`` is None exactly when ``problems`` is not empty."""

    settings: Settings | None
    problems: list[Problem]
    tree: Tree
    """Where everything stands, for those who check further."""


def read_settings(
    path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, str] | None = None
) -> SettingsRead:
    """Read ``path`` (None: defaults only). Raises BadInput when the file is no YAML; returns every other problem."""
    tree: Tree = read_file(path) if path else MappingNode(Place("defaults"))
    problems = overlay(tree, Settings, environ, overrides or {})
    problems += read_companions(tree, Settings, path.parent if path else Path())
    profile = at(tree, ("remediation", "profile"))
    if isinstance(profile, ScalarNode) and profile.text == "demo":
        _fill(tree, {change.path: change.demo for change in profiles.DEMO}, Place("profile demo"))
    settings, mistakes = validate(Settings, tree)
    problems += mistakes
    return SettingsRead(None if problems else settings, problems, tree)


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
