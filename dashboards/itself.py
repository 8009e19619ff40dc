"""Who watches the watcher: is Watchtower alive, on time, losing anything, and in nobody's way?"""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import frame
from dashboards.limits import Limits
from dashboards.palette import BAD, GOOD, UNKNOWN, WARN, thresholds
from dashboards.panels import Panel, bands, bars, lines, tile
from dashboards.queries import Query, metric, rate


def increase(name: str, by: str = "") -> str:
    inner = f"increase({metric(name)}[$__range])"
    return f"sum by ({by}) ({inner})" if by else inner


def now() -> list[Panel]:
    age = f"time() - {metric('watchtower_last_evaluation_timestamp_seconds')}"
    return [
        tile(
            "Watchtower",
            "Whether the last scrape succeeded.",
            Query(metric("up")),
            states={1: ("UP", GOOD), 0: ("DOWN", BAD)},
        ),
        tile(
            "Last evaluation",
            "The dead man's handle: the age of the newest look at all rules.",
            Query(age),
            unit="s",
            decimals=1,
            judge=thresholds((None, UNKNOWN), (0, GOOD), (10, WARN), (30, BAD)),
        ),
        tile(
            "Running for",
            "Since this daemon started.",
            Query(f"time() - {metric('watchtower_start_timestamp_seconds')}"),
            unit="s",
            decimals=1,
        ),
        tile(
            "Loop lag",
            "How late the newest evaluation was; above a second windows turn UNKNOWN.",
            Query(metric("watchtower_loop_lag_seconds")),
            unit="s",
            judge=thresholds((None, UNKNOWN), (0, GOOD), (0.25, WARN), (1, BAD)),
        ),
        tile(
            "Relay workers",
            "Connected to the daemon. 0: traffic may flow, but nobody sees it.",
            Query(metric("watchtower_relay_workers")),
            decimals=0,
            judge=thresholds((None, UNKNOWN), (0, BAD), (1, GOOD)),
        ),
        tile(
            "Observations lost",
            "News that fell off a bounded queue in this time range.",
            Query(increase("watchtower_relay_dropped_news_total")),
            decimals=0,
            judge=thresholds((None, UNKNOWN), (0, GOOD), (1, WARN)),
        ),
        tile(
            "Journal",
            "A damaged journal stops every action: observing only.",
            Query(metric("watchtower_storage_fault")),
            states={0: ("WHOLE", GOOD), 1: ("DAMAGED", BAD)},
        ),
        tile(
            "Version",
            "Which Watchtower this is, with its profile and mode.",
            Query(metric("watchtower_build_info"), "{{version}} · {{profile}} · {{mode}}"),
            names=True,
        ),
    ]


def loop() -> list[Panel]:
    return [
        bands(
            "Scraped",
            "When Prometheus could reach Watchtower; what it missed is UNKNOWN on every other panel.",
            Query(metric("up"), "up"),
            states={1: ("UP", GOOD), 0: ("DOWN", BAD)},
            height=3,
        ),
        lines(
            "Evaluations",
            "All rules, how often a second. A flat line at its height is health.",
            Query(rate("watchtower_evaluations_total"), "evaluations", "blue"),
            unit="suffix:/s",
            width=8,
        ),
        lines(
            "Delays",
            "How late an evaluation was, how long it took, and the longest pause of a relay worker's loop.",
            Query(metric("watchtower_loop_lag_seconds"), "lag", "orange"),
            Query(metric("watchtower_evaluation_seconds"), "evaluation", "blue"),
            Query(metric("watchtower_relay_loop_lag_seconds"), "relay", "purple"),
            unit="s",
            width=8,
        ),
        lines(
            "Scrape",
            "What our metrics cost: seconds to answer one scrape.",
            Query(metric("scrape_duration_seconds"), "duration", "blue"),
            unit="s",
            width=8,
        ),
    ]


def relay() -> list[Panel]:
    return [
        lines(
            "Relay",
            "Connections and requests; a tunnel is traffic that passes unread.",
            Query(rate("watchtower_relay_connections_total"), "connections", "blue"),
            Query(rate("watchtower_relay_requests_total"), "requests", "green"),
            Query(rate("watchtower_relay_tunnels_total"), "tunnels", "purple"),
            unit="suffix:/s",
            width=8,
        ),
        lines(
            "What the relay could not read",
            "Malformed requests, responses and events, answers in a form that is not observed, and news lost on their "
            "way. All was forwarded unchanged, but unseen: not observed is not idle.",
            Query(rate("watchtower_relay_requests_malformed_total"), "requests", "orange"),
            Query(rate("watchtower_relay_responses_malformed_total"), "responses", "red"),
            Query(rate("watchtower_relay_responses_unobserved_total"), "unobserved", "purple"),
            Query(rate("watchtower_relay_events_malformed_total"), "events", "yellow"),
            Query(rate("watchtower_relay_dropped_news_total"), "lost", "text"),
            unit="suffix:/s",
            width=8,
        ),
        bars(
            "Errors that the relay caused, in this time range",
            "By kind; these are ours, never the engine's.",
            Query(increase("watchtower_relay_caused_errors_total", "kind"), "{{kind}}"),
            unit="short",
        ),
        lines(
            "Clients",
            "Those that left before their answer had ended, and those too slow to take it.",
            Query(rate("watchtower_relay_clients_left_total"), "left early", "orange"),
            Query(rate("watchtower_relay_clients_slow_total"), "too slow", "purple"),
            unit="suffix:/s",
            width=12,
            height=7,
        ),
        bars(
            "Held requests, in this time range",
            "Parked by a hold and released by its end: both bars should be of one length.",
            Query(increase("watchtower_relay_parked_total"), "parked"),
            Query(increase("watchtower_relay_released_total"), "released"),
            unit="short",
            width=12,
            height=7,
        ),
    ]


def own() -> list[Panel]:
    return [
        bars(
            "What happened inside, in this time range",
            "Drops of our own queues, killed and restarted children, failed tasks.",
            Query(increase("watchtower_internal_events_total", "event"), "{{event}}"),
            unit="short",
            width=8,
        ),
        lines(
            "Queues",
            "How full our own bounded queues are; at 100 % they drop and count.",
            Query(f"{metric('watchtower_queue_length')} / {metric('watchtower_queue_capacity')}", "{{queue}}"),
            unit="percentunit",
            width=8,
            high=1,
        ),
        bands(
            "Children",
            "Which of our own processes answer.",
            Query(metric("watchtower_child_up"), "{{child}}"),
            states={1: ("UP", GOOD), 0: ("DOWN", BAD)},
            width=8,
        ),
    ]


def dashboard(limits: Limits) -> Dashboard:
    return frame.assemble(
        frame.ITSELF,
        "Watchtower itself",
        "Is Watchtower alive, on time, losing anything, and in nobody's way?",
        [("Now", now()), ("The loop", loop()), ("The relay", relay()), ("Queues and children", own())],
    )
