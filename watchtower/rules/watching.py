"""Who watches the watcher: alerts on Watchtower itself, the same for every rule file.

Each names the symptom, the value and what to do. Gauges that mark a bad state are looked at over several scrapes, so
that a missed one neither fires nor resolves.
"""

from __future__ import annotations

from dataclasses import dataclass

from watchtower.vocabulary.readings import Severity

HEARTBEAT_SECONDS = 30
"""A daemon that evaluates every second and has not for so long stands still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    name: str
    expr: str
    hold_for: float
    """Seconds."""
    severity: Severity
    summary: str
    """One static sentence."""
    description: str
    """With the value and where."""
    action: str
    """What a person does first; a section of docs/runbook.md."""


WATCHING: tuple[Alert, ...] = (
    Alert(
        name="WatchtowerDown",
        expr="up == 0 and on (job, instance) last_over_time(watchtower_start_timestamp_seconds[1h])",
        hold_for=60.0,
        severity=Severity.PAGE,
        summary="A Watchtower that was scraped within the hour does not answer.",
        description="{{ $labels.instance }} of {{ $labels.job }} cannot be scraped. Relay and engine go on without it, "
        "unwatched.",
        action="Look at the daemon's log and start it again; relay, keeper and engine outlive it. "
        "`watchtower doctor` names what is missing.",
    ),
    Alert(
        name="WatchtowerAbsent",
        expr="absent(watchtower_last_evaluation_timestamp_seconds)",
        hold_for=300.0,
        severity=Severity.PAGE,
        summary="No Watchtower tells anything at all.",
        description="Prometheus has no heartbeat of any Watchtower.",
        action="Check the scrape configuration (or the PodMonitor and its label), then the daemons.",
    ),
    Alert(
        name="WatchtowerHeartbeatStale",
        expr=f"time() - watchtower_last_evaluation_timestamp_seconds > {HEARTBEAT_SECONDS}",
        hold_for=30.0,
        severity=Severity.PAGE,
        summary="A Watchtower answers but no longer evaluates its rules.",
        description="{{ $labels.instance }} last evaluated its rules {{ $value | humanizeDuration }} ago.",
        action="`/-/healthy` says why. Restart the daemon; a starved machine (CPU, disk) is the usual cause.",
    ),
    Alert(
        name="WatchtowerEscalated",
        expr='max_over_time(watchtower_incident_state{state="escalated"}[1m]) == 1',
        hold_for=0.0,
        severity=Severity.PAGE,
        summary="An incident waits for a person: Watchtower will do nothing more.",
        description="The incident on {{ $labels.instance }} is escalated.",
        action="`watchtower explain`, mend, then `watchtower ack --resolve -r '…'` or `--resume`.",
    ),
    Alert(
        name="WatchtowerStorageFault",
        expr="min_over_time(watchtower_storage_fault[1m]) == 1",
        hold_for=0.0,
        severity=Severity.PAGE,
        summary="The journal cannot be relied on: Watchtower observes only.",
        description="{{ $labels.instance }} cannot write down what it does, so it does nothing.",
        action="Free or repair the disk of state_directory, then restart; `watchtower status` names the fault.",
    ),
    Alert(
        name="WatchtowerBlind",
        expr='min by (job, instance) (max_over_time(watchtower_rule_verdict{verdict="unknown"}[1m])) == 1'
        " and on (job, instance) min_over_time(watchtower_relay_open_exchanges[1m]) > 0",
        hold_for=300.0,
        severity=Severity.WARN,
        summary="Requests are served and no rule can be judged.",
        description="Every rule of {{ $labels.instance }} reads UNKNOWN while exchanges are open.",
        action="`watchtower status --readings` gives the reason of each reading.",
    ),
    Alert(
        name="WatchtowerRelayGone",
        expr="max_over_time(watchtower_relay_workers[1m]) == 0",
        hold_for=60.0,
        severity=Severity.PAGE,
        summary="No relay worker reports: clients may be cut off, and nothing is seen of the traffic.",
        description="No relay worker is connected to {{ $labels.instance }}.",
        action="Is something listening on relay.listen? `watchtower doctor`, then the relay's log in state_directory.",
    ),
    Alert(
        name="WatchtowerNoticesStuck",
        expr="min_over_time(watchtower_outbox_oldest_age_seconds[2m]) > 300",
        hold_for=0.0,
        severity=Severity.WARN,
        summary="People are not told: notices wait in the outbox.",
        description="The oldest notice of {{ $labels.instance }} has waited {{ $value | humanizeDuration }}.",
        action="`watchtower_sink_up` names the sink; its receiver refuses or cannot be reached.",
    ),
    Alert(
        name="WatchtowerObservationsDropped",
        expr="increase(watchtower_relay_dropped_news_total[10m]) > 0",
        hold_for=0.0,
        severity=Severity.WARN,
        summary="A relay worker could not hand over all it saw.",
        description="{{ $value | humanize }} observations of {{ $labels.instance }} were dropped in 10 minutes.",
        action="The daemon was away or too slow; see its CPU and `watchtower_loop_lag_seconds`.",
    ),
    Alert(
        name="WatchtowerGpusUnreadable",
        expr="max_over_time(watchtower_gpu_source_up[1m]) == 0",
        hold_for=300.0,
        severity=Severity.WARN,
        summary="The GPUs cannot be read.",
        description="The source {{ $labels.source }} of {{ $labels.instance }} gives no readings.",
        action="`watchtower placement` and `nvidia-smi` on the host: driver wedged, lost GPU, or missing permission.",
    ),
    Alert(
        name="WatchtowerLate",
        expr="min_over_time(watchtower_loop_lag_seconds[2m]) > 1",
        hold_for=0.0,
        severity=Severity.WARN,
        summary="Watchtower's own loop runs late: its windows may read UNKNOWN.",
        description="Evaluations of {{ $labels.instance }} come {{ $value | humanizeDuration }} late.",
        action="Give the daemon CPU; look for throttling of its container.",
    ),
    Alert(
        name="WatchtowerPaused",
        expr="min_over_time(watchtower_paused[1h]) == 1",
        hold_for=3 * 3600.0,
        severity=Severity.INFO,
        summary="Somebody paused Watchtower and it is still paused.",
        description="{{ $labels.instance }} has taken no action for hours: it is paused.",
        action="`watchtower status` names who and why; `watchtower resume` ends it.",
    ),
    Alert(
        name="WatchtowerBypassed",
        expr="min_over_time(watchtower_relay_bypassed[10m]) == 1",
        hold_for=1800.0,
        severity=Severity.WARN,
        summary="The relay is still bypassed: nothing of the traffic is seen or judged.",
        description="{{ $labels.instance }} only forwards, by a person's order, for more than half an hour.",
        action="`watchtower status` names who and why; `watchtower bypass --off` ends it.",
    ),
)
