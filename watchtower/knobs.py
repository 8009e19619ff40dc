"""What every group of knobs has in common; below ``settings``, so that the family of the sinks has its own file."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(gt=0, le=30 * 86400)]


class Group(BaseModel):
    """Base of every group of knobs: unknown names are mistakes, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
