"""Text that people write → places → values: YAML, the environment, profiles, and every mistake at once.

``yamltree`` turns text into a ``tree`` that remembers where each thing stands; ``environment`` lays variables over it;
``secrets`` replaces ``*_file`` companions; ``validating`` checks a tree against a pydantic model and says each mistake
as file:line · path · what · cure; ``consistency`` refuses sets of limits that contradict each other. No message carries
a secret.
"""

from watchtower.configuration.layers import SettingsRead, read_settings
from watchtower.configuration.tree import MappingNode, ScalarNode, SequenceNode, Tree
from watchtower.configuration.validating import in_order, validate
from watchtower.configuration.yamltree import read_yaml

__all__ = [
    "MappingNode",
    "ScalarNode",
    "SequenceNode",
    "SettingsRead",
    "Tree",
    "in_order",
    "read_settings",
    "read_yaml",
    "validate",
]
