"""What somebody on call sees first: is it sick, since when, what is Watchtower doing, and how far from the limits."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard, ValueMap, ValueMappingResult

from dashboards import frame
from dashboards.limits import Limits
from dashboards.palette import ACTION, BAD, DOING, GOOD, INCIDENT, STORY, UNKNOWN, WARN, absent, judged, numbered, words
from dashboards.panels import Panel, bands, lines, tile
from dashboards.queries import JOB, Query, limit, metric, position, rate, reading, verdicts
from dashboards.tables import coloured, rows
from watchtower.vocabulary.incidents import IncidentState

MODES = ("observe", "approve", "auto")
MAY = {
    **numbered([("OBSERVE", WARN), ("APPROVE", DOING), ("AUTO", GOOD)]),
    **{10 + place: ("PAUSED", WARN) for place in range(3)},
    **dict.fromkeys((100, 101, 102, 110, 111, 112), ("STORAGE FAULT", BAD)),
}


def may() -> Query:
    """What Watchtower may do: the mode, unless a person paused it or its journal is damaged."""
    mode = position("watchtower_build_info", "mode", MODES)
    paused, fault = metric("watchtower_paused"), metric("watchtower_storage_fault")
    return Query(f"{mode} + sum({paused}) * 10 + sum({fault}) * 100")


def watching() -> Query:
    """Up, and 1 more while the relay is bypassed and sees nothing."""
    up = metric("up")
    return Query(f"{up} + ({metric('watchtower_relay_bypassed')} or {up} * 0)")


def incident(where: str = "", by: str = "") -> str:
    return position("watchtower_incident_state", "state", IncidentState, **({"where": where, "by": by} if by else {}))


INCIDENT_WORDS = numbered(INCIDENT[state] for state in IncidentState)


def now(limits: Limits) -> list[Panel]:
    return [
        tile(
            "Watchtower",
            "Is anybody watching? Everything else on this page is worth what this tile says.",
            watching(),
            states={1: ("WATCHING", GOOD), 0: ("DOWN", BAD), 2: ("BYPASSED", BAD)},
            to=frame.ITSELF,
        ),
        tile(
            "Incident",
            "Is the server sick, and how far has the cure come?",
            Query(incident()),
            states=INCIDENT_WORDS,
            to=frame.REMEDIATION,
        ),
        tile(
            "Since",
            "How long the present incident has been open.",
            Query(f"time() - {metric('watchtower_incident_opened_timestamp_seconds')}"),
            unit="s",
            missing="—",
            decimals=0,
            to=frame.REMEDIATION,
        ),
        tile(
            "May it act?",
            "What Watchtower is allowed to do on its own: OBSERVE and PAUSED mean that a person has to.",
            may(),
            states=MAY,
            to=frame.REMEDIATION,
        ),
        tile(
            "Per-token latency, p95",
            "Do users wait too long between two words? Red from the limit of the rules on.",
            Query(reading("inter_token_latency_seconds.p95")),
            unit="s",
            judge=judged(limits["inter_token_latency_seconds.p95"]),
            to=frame.LATENCY,
        ),
        tile(
            "GPU spread",
            "Does one rank work much more or less than its peers? Red from the limit of the rules on.",
            Query(reading("gpu_utilization.spread")),
            unit="percentunit",
            judge=judged(limits["gpu_utilization.spread"]),
            decimals=1,
            to=frame.GPU,
        ),
        tile(
            "Similarity",
            "Does the model still answer as it did when it was blessed? Red under the limit of the rules.",
            Query(reading("similarity.mean")),
            judge=judged(limits["similarity.mean"]),
            decimals=3,
            to=frame.QUALITY,
        ),
        tile(
            "Engine",
            "What the engine says of itself: a hint only, a hung engine says SERVING as well.",
            Query(f"{metric('watchtower_engine_known')} + {metric('watchtower_engine_serving')}"),
            states=numbered([("UNKNOWN", UNKNOWN), ("NOT SERVING", BAD), ("SERVING", GOOD)]),
            to=frame.LATENCY,
        ),
    ]


def story(height: int = 12) -> Panel:
    """What happened, on one time axis: the incident, what held its cure back, and the rules that were broken."""
    held = metric("watchtower_incident_held")
    return bands(
        "Incident, gates and rules",
        "Since when is it sick, and what did Watchtower do? Above the incident's way from SUSPECT over ACTING and "
        "VERIFYING to calm, with a row for each gate that holds the cure back; below the rules that it follows from. "
        "BREACH fires once it has held for the rule's `for:`.",
        Query(f"{incident()} + 10", "INCIDENT"),
        Query(f"({held} == 1) * 30", "held back: {{reason}}"),
        Query(verdicts(), "{{rule}}"),
        states=STORY,
        height=height,
    )


def triad() -> list[Panel]:
    return [
        lines(
            "Per-token latency",
            "How long users wait for the next word, against the limit that the daemon uses.",
            Query(reading("inter_token_latency_seconds.p50"), "p50", "light-blue"),
            Query(reading("inter_token_latency_seconds.p95"), "p95", "blue"),
            limit("slow_tokens"),
            unit="s",
            width=8,
        ),
        lines(
            "GPU utilization spread",
            "Range of the ranks' mean utilization in one tensor-parallel group, against its limit.",
            Query(reading("gpu_utilization.spread"), "spread", "blue"),
            limit("gpu_imbalance"),
            unit="percentunit",
            width=8,
            high=1,
        ),
        lines(
            "Semantic similarity",
            "Cosine of canary answers to their references, against its limit. No line: no answers were compared.",
            Query(reading("similarity.mean"), "similarity", "blue"),
            limit("meaning_drift"),
            unit="none",
            width=8,
            soft_low=0.8,
            high=1,
        ),
    ]


def actions(width: int, height: int) -> Panel:
    outcomes = {str(state): ValueMappingResult(color=colour) for state, colour in ACTION.items()}
    return rows(
        "Actions in this time range",
        "What was done, and how it ended: EFFECTIVE is said only after the cure was proven; `would_act` was only "
        "recorded, `ambiguous` asks a person.",
        Query(f"sum by (verb, result) (increase({metric('watchtower_actions_total')}[$__range])) > 0"),
        columns={"verb": "Action", "result": "Outcome", "Value": "Times"},
        looks={"Outcome": coloured([ValueMap(options=outcomes)]), "Times": [("decimals", 0)]},
        missing="none",
        width=width,
        height=height,
    )


def doing() -> list[Panel]:
    return [
        lines(
            "Traffic",
            "Is there traffic at all? Without it most rules are UNKNOWN, and rightly so.",
            Query(rate("watchtower_relay_generations_total"), "requests", "blue"),
            Query(f"sum({rate('watchtower_relay_caused_errors_total')})", "errors that we caused", "red"),
            unit="reqps",
            width=8,
            height=7,
        ),
        lines(
            "Open at the engine, and waiting for a cure",
            "A rising blue line with no tokens is a hang; orange are requests that wait at the relay during a cure.",
            Query(metric("watchtower_relay_open_exchanges"), "open", "blue"),
            Query(metric("watchtower_relay_parked_requests"), "parked", "orange"),
            unit="short",
            width=8,
            height=7,
        ),
        actions(8, 7),
    ]


def fleet(limits: Limits) -> list[Panel]:
    def judged_cell(name: str, unit: str, decimals: int) -> list[tuple[str, object]]:
        look = [("unit", unit), ("thresholds", judged(limits[name]).build()), ("decimals", decimals)]
        return [*look, *coloured(absent())]

    latency, spread, similarity = (
        "inter_token_latency_seconds.p95",
        "gpu_utilization.spread",
        "similarity.mean",
    )
    here = {
        "url": f"/d/{frame.OVERVIEW}?var-instance=${{__value.raw}}&${{datasource:queryparam}}&${{__url_time_range}}"
    }
    return [
        rows(
            "Every server",
            "Which of the servers is sick? A click on an instance shows its overview.",
            Query(f"max by (instance) ({metric('up', where=JOB)})"),
            Query(incident(where=JOB, by="instance")),
            Query(f"max by (instance) ({reading(latency, where=JOB)})"),
            Query(f"max by (instance) ({reading(spread, where=JOB)})"),
            Query(f"min by (instance) ({reading(similarity, where=JOB)})"),
            columns={
                "instance": "Server",
                "Value #A": "Watchtower",
                "Value #B": "Incident",
                "Value #C": "p95 per token",
                "Value #D": "GPU spread",
                "Value #E": "Similarity",
            },
            looks={
                "Server": [("links", [{"title": "Overview of this server", **here}])],
                "Watchtower": coloured(words({1: ("WATCHING", GOOD), 0: ("DOWN", BAD)})),
                "Incident": coloured(words(INCIDENT_WORDS)),
                "p95 per token": judged_cell(latency, "s", 0),
                "GPU spread": judged_cell(spread, "percentunit", 1),
                "Similarity": judged_cell(similarity, "none", 3),
            },
            width=24,
            height=5,
        )
    ]


def dashboard(limits: Limits) -> Dashboard:
    return frame.assemble(
        frame.OVERVIEW,
        "Overview",
        "Is the server sick, since when, what is Watchtower doing about it, and how far is the triad from its limits?",
        [
            ("Now", now(limits)),
            ("Since when, and what was done", [story()]),
            ("The triad against its limits", triad()),
            ("Traffic and actions", doing()),
            ("Fleet", fleet(limits)),
        ],
    )
