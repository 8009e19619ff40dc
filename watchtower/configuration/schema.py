"""JSON Schema of what people write: the models', plus the courtesies of reading (durations, ``*_file`` companions)."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from watchtower.configuration.kinds import every_kind
from watchtower.configuration.secrets import SUFFIX

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def settings_schema() -> dict[str, Any]:
    """Of ``watchtower.yaml``."""
    schema = every_kind().model_json_schema(mode="validation")
    for group in (schema, *schema.get("$defs", {}).values()):
        _courtesies(group)
    return {"$schema": DRAFT, **schema}


def rules_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Of a rule file, whose model belongs to the rules."""
    return {"$schema": DRAFT, **model.model_json_schema(by_alias=True)}


def _courtesies(group: dict[str, Any]) -> None:
    fields: dict[str, Any] = group.get("properties", {})
    required = [name for name in group.get("required", []) if not _secret(fields[name])]
    if "required" in group:
        group["required"] = required
    for name, field in list(fields.items()):
        if name.endswith("_seconds") and field.get("type") == "number":
            number = {key: field.pop(key) for key in list(field) if key not in ("default", "description", "title")}
            field["anyOf"] = [number, {"type": "string", "pattern": r"^\d*\.?\d+\s*(us|µs|ms|s|m|min|h)$"}]
        if _secret(field):
            fields[name + SUFFIX] = {"type": "string", "description": f"Path of a file that holds {name}."}


def _secret(field: dict[str, Any]) -> bool:
    return any(option.get("format") == "password" for option in (field, *field.get("anyOf", ())))
