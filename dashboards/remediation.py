"""What Watchtower did, what it would have done, what holds it back, and whether people were told."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import frame
from dashboards.limits import Limits
from dashboards.overview import INCIDENT_WORDS, MAY, actions, incident, may, story
from dashboards.palette import BAD, GOOD, UNKNOWN, WARN, numbered, thresholds
from dashboards.panels import Panel, bands, bars, lines, tile
from dashboards.queries import Query, metric, rate


def now() -> list[Panel]:
    effective = metric("watchtower_actions_total", 'result="effective"')
    pending = metric("watchtower_outbox_pending")
    return [
        tile("Incident", "How far the present incident has come.", Query(incident()), states=INCIDENT_WORDS, width=4),
        tile(
            "Open for",
            "Since the incident was opened.",
            unit="s",
            decimals=0,
            missing="—",
            width=4,
            query=Query(f"time() - {metric('watchtower_incident_opened_timestamp_seconds')}"),
        ),
        tile(
            "May it act?", "The mode, unless a person paused it or the journal is damaged.", may(), states=MAY, width=4
        ),
        tile(
            "Reasons that hold it back",
            "Gates that say no to the present cure.",
            Query(f"sum({metric('watchtower_incident_held')})"),
            decimals=0,
            width=4,
            judge=thresholds((None, UNKNOWN), (0, GOOD), (1, WARN)),
        ),
        tile(
            "Proven cures",
            "Actions of this time range whose effect was verified.",
            Query(f"sum(increase({effective}[$__range]))"),
            missing="NONE",
            decimals=0,
            width=4,
        ),
        tile(
            "Notices waiting",
            "People who have not been told yet.",
            Query(pending),
            decimals=0,
            width=4,
            judge=thresholds((None, UNKNOWN), (0, GOOD), (10, WARN)),
        ),
    ]


def done() -> list[Panel]:
    return [
        actions(6, 8),
        bars(
            "Incidents and restarts, in this time range",
            "More restarts than actions: somebody else restarts the engine too.",
            Query(f"increase({metric('watchtower_incidents_total')}[$__range])", "incidents opened"),
            Query(f"increase({metric('watchtower_engine_restarts_total')}[$__range])", "engine restarts"),
            unit="short",
            width=6,
        ),
        lines(
            "Requests during a cure",
            "Parked at the relay instead of failing, and released when the engine was back.",
            Query(metric("watchtower_relay_parked_requests"), "parked now", "orange"),
            Query(metric("watchtower_relay_open_exchanges"), "open at the engine", "blue"),
            unit="short",
            width=6,
        ),
        bars(
            "What a cure cost, in this time range",
            "Errors that the relay itself answered, by kind. The aim of a warm restart is zero.",
            Query(f"sum by (kind) (increase({metric('watchtower_relay_caused_errors_total')}[$__range]))", "{{kind}}"),
            unit="short",
            width=6,
        ),
    ]


def brakes() -> Panel:
    """Who has taken the hands off."""
    return bands(
        "Brakes",
        "A person's pause, or a damaged journal: either stops every action, and people are told all the same.",
        Query(f"{metric('watchtower_paused')} + {metric('watchtower_storage_fault')} * 2", "brakes"),
        states=numbered([("FREE", GOOD), ("PAUSED", WARN), ("STORAGE FAULT", BAD), ("STORAGE FAULT", BAD)]),
        height=3,
    )


def told() -> list[Panel]:
    return [
        lines(
            "Notices by result",
            "Deliveries to sinks: `dead` and `dropped` mean that somebody was not told.",
            Query(f"sum by (result) ({rate('watchtower_notices_total')})", "{{result}}"),
            unit="suffix:/s",
            shades={"sent": "green", "failed": "orange", "dropped": "red", "dead": "purple"},
            width=8,
        ),
        lines(
            "Oldest waiting notice",
            "A rising line: a sink is down, and people know less than Watchtower.",
            Query(metric("watchtower_outbox_oldest_age_seconds"), "age", "orange"),
            unit="s",
            width=8,
        ),
        bands(
            "Sinks",
            "Which way to people works? DOWN: the newest attempt failed, or the receiver is gone for good.",
            Query(metric("watchtower_sink_up"), "{{sink}}"),
            states=numbered([("DOWN", BAD), ("UP", GOOD)]),
            width=8,
        ),
    ]


def dashboard(limits: Limits) -> Dashboard:
    return frame.assemble(
        frame.REMEDIATION,
        "Remediation",
        "What Watchtower did, what it would have done, what holds it back, and whether people were told.",
        [
            ("Now", now()),
            ("The story", [story(), brakes()]),
            ("What was done, and its price", done()),
            ("Who was told", told()),
        ],
    )
