"""Tables: what is known now, one row a label set. Several queries are merged by their labels, as Grafana does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, DynamicConfigValue, ValueMapping
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards.panels import SOURCE, described, targets
from dashboards.queries import Query


def rows(
    title: str,
    why: str,
    *queries: Query,
    columns: Mapping[str, str],
    looks: Mapping[str, Sequence[tuple[str, object]]] | None = None,
    width: int = 12,
    height: int = 8,
    missing: str = "UNKNOWN",
) -> table.Panel:
    """What is known now, one row a label set. ``columns``: label or ``Value #A`` → heading, in order; others are left
    out. ``looks``: heading → properties (unit, mappings, …)."""
    every = {"Time", "__name__", "job", "instance", "Value", *(f"Value #{chr(65 + n)}" for n in range(len(queries)))}
    organize = {
        "excludeByName": dict.fromkeys(sorted(every - set(columns)), True),
        "indexByName": {name: place for place, name in enumerate(columns)},
        "renameByName": dict(columns),
    }
    panel = (
        table.Panel()
        .title(title)
        .description(described(why, queries))
        .datasource(SOURCE)
        .targets(targets(queries, PromQueryFormat.TABLE, instant=True))
        .transformations(
            [DataTransformerConfig("merge", options={}), DataTransformerConfig("organize", options=organize)]
        )
        .unit("none")
        .no_value(missing)
        .show_header(True)
        .span(width)
        .height(height)
    )
    for heading, look in (looks or {}).items():
        panel.override_by_name(heading, [DynamicConfigValue(key, value) for key, value in look])
    return panel


def coloured(mappings: Sequence[ValueMapping]) -> list[tuple[str, object]]:
    """The look of a table cell that is a state."""
    return [
        ("mappings", list(mappings)),
        ("custom.cellOptions", {"type": "color-background", "mode": "basic"}),
        ("custom.align", "center"),
    ]
