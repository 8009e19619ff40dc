"""The kinds of panels (tables: ``tables``). None can be made without a title, the question it answers, and a unit.

Descriptions end with the metrics that a panel reads. Every target asks the data source that the reader chose.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    timeseries,
)
from grafana_foundation_sdk.builders.dashboard import DashboardLink, FieldColor, ThresholdsConfig
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.common import (
    AxisColorMode,
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    LegendDisplayMode,
    LegendPlacement,
    ScaleDistribution,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    DynamicConfigValue,
    FieldColorModeId,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode, HeatmapColorScale
from grafana_foundation_sdk.models.prometheus import PromQueryFormat, QueryEditorMode

from dashboards.palette import PLAIN, UNKNOWN, State, absent, thresholds, words
from dashboards.queries import KNOWN, MODEL, Query, metric

SOURCE = DataSourceRef("prometheus", "${datasource}")
Panel = Builder[model.Panel]
HEADROOM = 1.02
"""A line at its greatest possible value is to be seen below the frame, not under it."""


def metrics_in(*queries: Query) -> list[str]:
    """The metrics in these queries, in order of appearance."""
    found = [word for query in queries for word in re.findall(r"[A-Za-z_:][\w:]*", query.expr) if word in KNOWN]
    return list(dict.fromkeys(found))


def described(why: str, queries: Sequence[Query]) -> str:
    return f"{why}\n\nFrom {', '.join(f'`{name}`' for name in metrics_in(*queries))}."


def targets(queries: Sequence[Query], kind: PromQueryFormat, *, instant: bool = False) -> list[Builder[Dataquery]]:
    made: list[Builder[Dataquery]] = []
    for place, query in enumerate(queries):
        target = prometheus.Dataquery().expr(query.expr).ref_id(chr(ord("A") + place)).datasource(SOURCE)
        target.format(kind).editor_mode(QueryEditorMode.CODE).legend_format(query.legend or "__auto")
        if query.exemplar:
            target.exemplar(True)
        made.append(target.instant() if instant else target.range())
    return made


def tile(
    title: str,
    why: str,
    query: Query,
    *,
    unit: str = "none",
    states: Mapping[int, State] | None = None,
    judge: ThresholdsConfig | None = None,
    missing: str = "UNKNOWN",
    decimals: int | None = None,
    to: str = "",
    width: int = 3,
    names: bool = False,
) -> stat.Panel:
    """One value now: the query is instant, because the last value of a range may be an hour old.

    The background is coloured only where ``states`` or ``judge`` say what is good and what is bad; without a value it
    says ``missing``. ``to``: the dashboard that a click leads to. ``names``: the text is the legend.
    """
    judging = states is not None or judge is not None
    panel = (
        stat.Panel()
        .title(title)
        .description(described(why, [query]))
        .datasource(SOURCE)
        .targets(targets([query], PromQueryFormat.TIME_SERIES, instant=True))
        .unit(unit)
        .no_value(missing)
        .mappings(words(states) if states is not None else absent(missing))
        .thresholds(judge or thresholds((None, UNKNOWN if judging else PLAIN)))
        .color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .color_mode(BigValueColorMode.BACKGROUND_SOLID if judging else BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.NONE)
        .text_mode(BigValueTextMode.NAME if names else BigValueTextMode.VALUE)
        .reduce_options(common.ReduceDataOptions().calcs(["last"]).values(False))
        .span(width)
        .height(4)
    )
    if decimals is not None:
        panel.decimals(decimals)
    return panel.data_links([drill(to)]) if to else panel


def drill(uid: str) -> DashboardLink:
    """To another dashboard about the same server and the same time."""
    url = f"/d/{uid}?${{datasource:queryparam}}&${{job:queryparam}}&${{instance:queryparam}}&${{__url_time_range}}"
    return DashboardLink(f"Look closer: {uid}").type(DashboardLinkType.LINK).url(url)


def lines(
    title: str,
    why: str,
    *queries: Query,
    unit: str,
    width: int = 12,
    height: int = 8,
    low: float | None = 0,
    soft_low: float | None = None,
    high: float | None = None,
    logarithmic: bool = False,
    table: bool = False,
    shades: Mapping[str, str] | None = None,
    missing: str = "UNKNOWN",
) -> timeseries.Panel:
    """Quantities over time. A gap is a gap: nobody knew. ``table``: the legend shows last and largest values.
    ``shades``: colours by legend, where one query gives many series. ``soft_low``: where the axis begins,
    unless a value lies below."""
    legend = common.VizLegendOptions().placement(LegendPlacement.BOTTOM).show_legend(True)
    legend.display_mode(LegendDisplayMode.TABLE if table else LegendDisplayMode.LIST)
    panel = (
        timeseries.Panel()
        .title(title)
        .description(described(why, queries))
        .datasource(SOURCE)
        .targets(targets(queries, PromQueryFormat.TIME_SERIES))
        .unit(unit)
        .no_value(missing)
        .line_width(2)
        .fill_opacity(6)
        .show_points(VisibilityMode.NEVER)
        .span_nulls(False)
        .legend(legend.calcs(["lastNotNull", "max"] if table else []))
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
        .span(width)
        .height(height)
    )
    if logarithmic:
        panel.scale_distribution(common.ScaleDistributionConfig().type(ScaleDistribution.LOG).log(10))
    elif soft_low is not None:
        panel.axis_soft_min(soft_low)
    elif low is not None:
        panel.min(low)
    if high is not None:
        panel.max(high * HEADROOM)
    for place, query in enumerate(queries):
        if query.colour:
            look = [DynamicConfigValue("color", {"mode": "fixed", "fixedColor": query.colour})]
            if query.dashed:
                look.append(DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [8, 6]}))
                look.append(DynamicConfigValue("custom.fillOpacity", 0))
            panel.override_by_query(chr(ord("A") + place), look)
    for legend_text, shade in (shades or {}).items():
        panel.override_by_name(legend_text, [DynamicConfigValue("color", {"mode": "fixed", "fixedColor": shade})])
    return panel


def bands(
    title: str,
    why: str,
    *queries: Query,
    states: Mapping[int, State],
    width: int = 24,
    height: int = 8,
    missing: str = "UNKNOWN",
) -> statetimeline.Panel:
    """States over time, one row a series; equal neighbours are one band, and no data is an empty stretch."""
    return (
        statetimeline.Panel()
        .title(title)
        .description(described(why, queries))
        .datasource(SOURCE)
        .targets(targets(queries, PromQueryFormat.TIME_SERIES))
        .unit("none")
        .no_value(missing)
        .mappings(words(states))
        .thresholds(thresholds((None, UNKNOWN)))
        .color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .merge_values(True)
        .show_value(VisibilityMode.AUTO)
        .row_height(0.85)
        .fill_opacity(85)
        .line_width(0)
        .legend(common.VizLegendOptions().display_mode(LegendDisplayMode.HIDDEN).show_legend(False))
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.SINGLE))
        .span(width)
        .height(height)
    )


def heat(title: str, why: str, name: str, *, unit: str, width: int = 12, height: int = 8) -> heatmap.Panel:
    """How many observations fell into which bucket, over time: bands that a percentile hides."""
    query = Query(
        f"sum by (le) (increase({metric(f'{name}_bucket', MODEL)}[$__rate_interval]))", "{{le}}", exemplar=True
    )
    colours = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64)
    return (
        heatmap.Panel()
        .title(title)
        .description(described(why, [query]))
        .datasource(SOURCE)
        .targets(targets([query], PromQueryFormat.HEATMAP))
        .unit(unit)
        .no_value("UNKNOWN")
        .calculate(False)
        .color(colours.scale(HeatmapColorScale.EXPONENTIAL).exponent(0.5).reverse(False).fill("dark-orange"))
        .y_axis(heatmap.YAxisConfig().unit(unit).axis_color_mode(AxisColorMode.TEXT).decimals(0))
        .filter_values(heatmap.FilterValueRange().le(1e-9))
        .cell_gap(1)
        .span(width)
        .height(height)
    )


def bars(
    title: str, why: str, *queries: Query, unit: str, width: int = 8, height: int = 8, missing: str = "UNKNOWN"
) -> bargauge.Panel:
    """One bar a series: a total over the chosen time range, largest quantities at a glance."""
    return (
        bargauge.Panel()
        .title(title)
        .description(described(why, queries))
        .datasource(SOURCE)
        .targets(targets(queries, PromQueryFormat.TIME_SERIES, instant=True))
        .unit(unit)
        .min(0)
        .decimals(0)
        .no_value(missing)
        .mappings(absent(missing))
        .thresholds(thresholds((None, UNKNOWN), (0, "blue")))
        .color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .orientation(VizOrientation.HORIZONTAL)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .span(width)
        .height(height)
    )
