"""The questions that references are made of: the shipped set, or a person's own YAML file in the same form.

Only what a person wrote into a file is ever asked: no prompt is taken from users' traffic.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from watchtower.configuration import Tree, in_order, validate
from watchtower.configuration.tree import place_of
from watchtower.configuration.yamltree import read_file
from watchtower.vocabulary.errors import BadInput, Problem
from watchtower.vocabulary.references import MOST_PROMPTS, Prompt

LONGEST_PROMPT = 8000
"""Characters."""


class _PromptModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class PromptText(_PromptModel):
    """One question, as written."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
    """Small letters, digits, ``-`` and ``_``: appears in tables and facts."""
    text: Annotated[str, Field(min_length=1, max_length=LONGEST_PROMPT)]


class PromptFile(_PromptModel):
    """A file of questions."""

    version: Literal[1]
    name: str = ""
    """For people."""
    prompts: Annotated[tuple[PromptText, ...], Field(max_length=MOST_PROMPTS)]


def shipped_prompts() -> Path:
    """The set that comes with Watchtower: in the package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "_shipped" / "references" / "default.yaml"
    return installed if installed.is_file() else package.parent / "references" / "default.yaml"


def load_prompts(path: Path | None = None) -> list[Prompt]:
    """The questions in ``path``, or the shipped ones. Raises BadInput with every mistake."""
    tree = read_file(path or shipped_prompts())
    file, problems = validate(PromptFile, tree)
    if file is not None:
        problems += _twice(file, tree)
        if not file.prompts:
            where = str(place_of(tree, ("prompts",)))
            problems.append(Problem(where, "prompts", "there is no question", "write at least one"))
    if file is None or problems:
        raise BadInput(in_order(problems))
    return [Prompt(id=prompt.id, text=prompt.text.strip()) for prompt in file.prompts]


def _twice(file: PromptFile, tree: Tree) -> list[Problem]:
    counts = Counter(prompt.id for prompt in file.prompts)
    return [
        Problem(str(place_of(tree, ("prompts", index, "id"))), f"prompts[{index}].id", "this id stands twice", "rename")
        for index, prompt in enumerate(file.prompts)
        if counts[prompt.id] > 1
    ]
