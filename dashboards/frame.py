"""What all dashboards share: variables, annotations, links, time range, and the way rows are laid out.

One Watchtower watches one server, so ``instance`` is chosen one at a time: a mean over two servers describes neither.
The fleet is a table on the overview. UIDs never change: links and bookmarks depend on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as model

from dashboards.panels import SOURCE, Panel
from dashboards.queries import HERE, JOB, metric

SCHEMA = 39
"""Grafana 10.4's; 10.4 to 13 load it."""
OVERVIEW, LATENCY, QUALITY, GPU, REMEDIATION, ITSELF = (
    f"watchtower-{name}" for name in ("overview", "latency", "quality", "gpu", "remediation", "itself")
)
Section = tuple[str, Sequence[Panel]]
"""A heading and the panels below it, left to right; a line is full at 24 columns."""


class _PrometheusAnnotation(model.AnnotationQuery):
    """An annotation whose texts come from the series' labels; the SDK's type knows the query alone."""

    def __init__(self, name: str, expr: str, text: str, colour: str) -> None:
        super().__init__(name=name, datasource=SOURCE, expr=expr, icon_color=colour)
        self.text = text

    def to_json(self) -> dict[str, object]:
        return {**super().to_json(), "titleFormat": self.name, "textFormat": self.text, "useValueForTime": False}


def _annotations() -> list[model.AnnotationQuery]:
    states = metric("watchtower_incident_state", 'state=~"open|held|acting|verifying|recovering|escalated"')
    acting = metric("watchtower_incident_state", 'state=~"acting|verifying"')
    started = metric("watchtower_start_timestamp_seconds")
    alerts = f'ALERTS{{{HERE}, alertstate="firing", alertname=~"Watchtower.*"}}'
    return [
        _PrometheusAnnotation("Incident", f"sum({states}) == 1", "An incident is open.", "red"),
        _PrometheusAnnotation("Action", f"sum({acting}) == 1", "Watchtower acts, or verifies its cure.", "blue"),
        _PrometheusAnnotation(
            "Start", f"changes({started}[$__rate_interval]) > 0", "Watchtower started anew.", "purple"
        ),
        _PrometheusAnnotation("Alert", alerts, "{{alertname}} fires.", "orange"),
    ]


def _variables(console: str) -> list[build.DatasourceVariable | build.QueryVariable | build.TextBoxVariable]:
    return [
        build.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        _query("job", f"label_values({metric('watchtower_build_info', where='')}, job)")
        .multi(True)
        .include_all(True)
        .all_value(".+")
        .current(model.VariableOption(True, ["All"], ["$__all"])),
        _query("instance", f"label_values({metric('watchtower_build_info', where=JOB)}, instance)"),
        _query("model", f"label_values({metric('watchtower_inter_token_latency_seconds_count')}, model)")
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(model.VariableOption(True, ["All"], ["$__all"])),
        build.TextBoxVariable("console")
        .label("console")
        .description("Where your browser reaches Watchtower's own console, perhaps through a tunnel.")
        .default_value(console)
        .current(model.VariableOption(True, console, console)),
    ]


def _query(name: str, query: str) -> build.QueryVariable:
    variable = build.QueryVariable(name).label(name).datasource(SOURCE).query(query)
    return variable.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(model.VariableSort.ALPHABETICAL_ASC)


def assemble(
    uid: str, title: str, description: str, sections: Iterable[Section], console: str = "http://localhost:9470"
) -> model.Dashboard:
    """A whole dashboard; panels are numbered in reading order."""
    others = build.DashboardLink("Watchtower").type(model.DashboardLinkType.DASHBOARDS).tags(["watchtower"])
    to_console = build.DashboardLink("Console").type(model.DashboardLinkType.LINK).url("${console}/").target_blank(True)
    board = (
        build.Dashboard(f"Watchtower / {title}")
        .uid(uid)
        .description(description)
        .tags(["watchtower"])
        .timezone("")
        .refresh("30s")
        .time("now-1h", "now")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .version(1)
        .links(
            [others.include_vars(True).keep_time(True), to_console.icon("external link").tooltip("Watchtower's own")]
        )
    )
    for variable in _variables(console):
        board.with_variable(variable)
    for heading, panels in sections:
        board.with_row(build.Row(heading))
        for panel in panels:
            board.with_panel(panel)
    done = board.build()
    done.schema_version = SCHEMA
    done.annotations = model.AnnotationContainer(_annotations())
    for number, placed in enumerate(done.panels or (), start=1):
        placed.id_val = number
    return done
