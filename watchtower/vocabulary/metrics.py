"""Every metric that we export, with the sentence that its HELP line says, its labels, and how the names are made.

Names are API: ``docs/metrics.md`` is generated from here, rules and dashboards are checked against it. The readings'
gauges and the relay's counters are named after ``readings.READINGS`` and ``words.RELAY_COUNTERS``. Label values are
bounded by configuration, hardware or a closed list: never a request, a prompt, a user, an address or an error's text.
"""

from __future__ import annotations

from watchtower.vocabulary.readings import READINGS, Unit

METRICS: dict[str, str] = {
    "watchtower_build_info": "Version, profile and mode of this Watchtower; always 1.",
    "watchtower_start_timestamp_seconds": "When this daemon started, Unix time in seconds.",
    "watchtower_last_evaluation_timestamp_seconds": "When the rules were last evaluated, Unix time in seconds. Alert "
    "on its age: it is the dead man's handle.",
    "watchtower_evaluations_total": "Evaluations of all rules since this daemon started.",
    "watchtower_evaluation_seconds": "How long the newest evaluation of all rules took, seconds.",
    "watchtower_loop_lag_seconds": "How late the newest evaluation was, seconds.",
    "watchtower_engine_info": "Version that the engine tells of itself; always 1.",
    "watchtower_engine_known": "1 while the adapter can tell who is running.",
    "watchtower_engine_serving": "1 while the engine says that it accepts requests; a hint, never proof of health.",
    "watchtower_engine_restarts_total": "Times that another incarnation of the engine was seen, whoever restarted it.",
    "watchtower_engine_scrapes_total": "Scrapes of the engine's own metrics by result: ok or failed.",
    "watchtower_inter_token_latency_seconds": "Time per output token after the first, seconds, as clients see it, by "
    "model. The limits of the rules are bucket bounds.",
    "watchtower_time_to_first_token_seconds": "From a request's last byte to its first token, seconds, by model.",
    "watchtower_exchanges_total": "Exchanges that ended, by what their ending counts as: good, apart (whole and "
    "empty), failure, callers (4xx), turned_away (429, or 503 with Retry-After), neither (the client left, we "
    "refused, or nobody could read it).",
    "watchtower_rule_verdict": "1 for the present verdict of each rule: ok, breach or unknown.",
    "watchtower_rule_firing": "1 while a rule has been in breach for its whole 'for'.",
    "watchtower_rule_value": "The value that each rule judged last, in the base unit of its reading; absent: unknown.",
    "watchtower_rule_limit": "The limit of each rule's decisive comparison, in the base unit of its reading.",
    "watchtower_headline": "1 for the level of the one sentence that says how things are (docs: alerts); worst first.",
    "watchtower_incident_state": "1 for the present state of this target's incident; 'clear' without one.",
    "watchtower_incident_opened_timestamp_seconds": "When the present incident was opened, Unix time; no sample "
    "without one.",
    "watchtower_incident_held": "1 for each reason that holds the present incident's cure back.",
    "watchtower_incidents_total": "Incidents opened by this daemon.",
    "watchtower_actions_total": "Actions that ended, by verb and result. All results of a verb start at 0 with "
    "its first intent.",
    "watchtower_paused": "1 while a person has paused Watchtower.",
    "watchtower_storage_fault": "1 while the journal is damaged or cannot be written: observing only.",
    "watchtower_relay_workers": "Relay workers connected to the daemon.",
    "watchtower_relay_open_exchanges": "Generation exchanges open at the engine now.",
    "watchtower_relay_parked_requests": "Requests held at their head while a cure is under way.",
    "watchtower_relay_loop_lag_seconds": "Longest delay of a relay worker's event loop in its newest report, seconds.",
    "watchtower_relay_dropped_news_total": "Observations that fell off a relay worker's bounded queue.",
    "watchtower_relay_caused_errors_total": "Client errors that the relay itself caused, by kind: never the engine's.",
    "watchtower_relay_bypassed": "1 while a person has the relay bypassed: it forwards and reads nothing.",
    "watchtower_relay_unread_total": "Requests that passed and were not read, by route: the first four, and `other`. "
    "Their cause, status and duration stand in the status.",
    "watchtower_relay_unread_failures_total": "Of these, those that ended in 5xx or without their end.",
    "watchtower_gpu_source_up": "1 while the hardware source (nvml, dcgm, simulated) can be read.",
    "watchtower_gpu_info": "UUID, model name and source of each GPU; `gpu` is its index on this boot; always 1.",
    "watchtower_gpu_readable": "1 while utilization of this GPU can be read.",
    "watchtower_gpu_utilization_ratio": "Mean share, 0 to 1, of the last window with a kernel executing. A GPU that "
    "waits in a collective reads busy.",
    "watchtower_gpu_sm_active_ratio": "Share of streaming multiprocessors in use, 0 to 1 (GPM or DCGM profiling).",
    "watchtower_gpu_dram_active_ratio": "Share of the memory bandwidth in use, 0 to 1 (GPM or DCGM profiling).",
    "watchtower_gpu_sm_clock_hertz": "SM clock now, hertz.",
    "watchtower_gpu_power_watts": "Power draw, watts, as the driver averages it.",
    "watchtower_gpu_power_limit_watts": "The power limit that is enforced, watts.",
    "watchtower_gpu_temperature_celsius": "Temperature of the GPU, degrees Celsius.",
    "watchtower_gpu_memory_used_bytes": "Device memory in use, bytes.",
    "watchtower_gpu_memory_total_bytes": "Device memory there is, bytes.",
    "watchtower_gpu_nvlink_errors_total": "NVLink replays, recoveries and CRC errors since the driver loaded.",
    "watchtower_gpu_pcie_replays_total": "PCIe replays since the driver loaded.",
    "watchtower_gpu_ecc_corrected_errors_total": "Corrected memory errors since the driver loaded.",
    "watchtower_gpu_ecc_uncorrected_errors_total": "Uncorrected memory errors since the driver loaded.",
    "watchtower_gpu_throttled_seconds_total": "Seconds with clocks held down, by reason, since the driver loaded.",
    "watchtower_gpu_xids_total": "Xids heard since this daemon started, by kind: fatal, application, other.",
    "watchtower_placement_mismatch": "GPUs of a stage that differ from what `placement` expects, by question.",
    "watchtower_references": "References in force: questions of ours whose blessed answers are known.",
    "watchtower_reference_rounds_total": "Rounds in which all references were asked, by result: clean, changed, "
    "unclear (too few answers), skipped (engine saturated, no users).",
    "watchtower_reference_answers_total": "References asked again, by result: answered or unanswered.",
    "watchtower_reference_tokens_total": "Prompt and completion tokens that reference canaries have cost the engine.",
    "watchtower_output_shift_ratio": "How far answers to users have moved since the references were captured, for like "
    "prompts, by measure: 0 not at all, 1 by the usual distance of two answers. For diagnosis; absent: unknown.",
    "watchtower_samples_total": "Samples by what became of them: kept as numbers, compared with a reference, or lost "
    "for lack of memory or of an encoder.",
    "watchtower_canaries_total": "One-token canaries by outcome.",
    "watchtower_notices_total": "Deliveries of notices to sinks by result.",
    "watchtower_sink_attempts_total": "Attempts to deliver a notice, by sink and result: ok or failed.",
    "watchtower_sink_template_fallbacks_total": "Messages sent in the built-in words because a template failed.",
    "watchtower_sink_up": "1 unless the newest attempt at this sink failed or its receiver is gone for good.",
    "watchtower_outbox_pending": "Notices waiting for delivery.",
    "watchtower_outbox_oldest_age_seconds": "Age of the oldest notice that waits, seconds; 0 when none does.",
    "watchtower_queue_length": "What waits in each of our own bounded queues now.",
    "watchtower_queue_capacity": "What each of these queues can hold; what comes beyond is dropped and counted.",
    "watchtower_child_up": "1 while the child process of this name answers.",
    "watchtower_telemetry_exports_total": "Batches handed to the OTLP collector, by signal and result: ok or failed. "
    "0 without telemetry.otlp.",
    "watchtower_internal_events_total": "What happened to our own queues and children: drops, restarts, failures.",
}
"""By name: meaning and unit."""

LABELS: dict[str, tuple[str, ...]] = {
    "watchtower_build_info": ("version", "profile", "mode"),
    "watchtower_engine_info": ("version",),
    "watchtower_engine_scrapes_total": ("result",),
    "watchtower_inter_token_latency_seconds": ("model", "le"),
    "watchtower_time_to_first_token_seconds": ("model", "le"),
    "watchtower_exchanges_total": ("counts_as",),
    "watchtower_rule_verdict": ("rule", "verdict"),
    "watchtower_rule_firing": ("rule",),
    "watchtower_rule_value": ("rule",),
    "watchtower_rule_limit": ("rule",),
    "watchtower_headline": ("level",),
    "watchtower_incident_state": ("state",),
    "watchtower_incident_held": ("reason",),
    "watchtower_actions_total": ("verb", "result"),
    "watchtower_relay_caused_errors_total": ("kind",),
    "watchtower_relay_unread_total": ("route",),
    "watchtower_gpu_source_up": ("source",),
    "watchtower_gpu_info": ("gpu", "uuid", "name", "source"),
    "watchtower_gpu_throttled_seconds_total": ("gpu", "reason"),
    "watchtower_gpu_xids_total": ("gpu", "kind"),
    "watchtower_placement_mismatch": ("stage", "question"),
    "watchtower_reference_rounds_total": ("result",),
    "watchtower_reference_answers_total": ("result",),
    "watchtower_output_shift_ratio": ("measure",),
    "watchtower_samples_total": ("result",),
    "watchtower_canaries_total": ("outcome",),
    "watchtower_notices_total": ("result",),
    "watchtower_sink_attempts_total": ("sink", "result"),
    "watchtower_sink_template_fallbacks_total": ("sink",),
    "watchtower_sink_up": ("sink",),
    "watchtower_queue_length": ("queue",),
    "watchtower_queue_capacity": ("queue",),
    "watchtower_child_up": ("child",),
    "watchtower_telemetry_exports_total": ("signal", "result"),
    "watchtower_internal_events_total": ("event",),
    **{
        name: ("gpu",)
        for name in METRICS
        if name.startswith("watchtower_gpu_")
        and name.rpartition("_")[2] not in ("up", "info")
        and name not in ("watchtower_gpu_throttled_seconds_total", "watchtower_gpu_xids_total")
    },
}
"""By name; a metric without labels is not listed."""

HISTOGRAMS = ("watchtower_inter_token_latency_seconds", "watchtower_time_to_first_token_seconds")

INTERNAL_EVENTS: dict[str, str] = {
    "machine_events_dropped": "Events that found the remediation queue full; evidence comes again with the next tick.",
    "adapter_kills": "Adapter children killed at a deadline: their answer counts as UNKNOWN.",
    "relay_strangers": "Processes refused on the relay workers' socket: workers of another target or state directory.",
    "gpu_kills": "GPU children killed for silence, garbage, or a driver that did not return.",
    "scorer_kills": "Scorer children that crashed, hung, grew too large or wrote garbage.",
    "scorer_live_dropped": "Live samples not scored: canaries, or the CPU share, left no time.",
    "gpu_abandoned": "GPU children that even SIGKILL did not end in time: stuck in the driver.",
    "task_failures": "Long-lived tasks of the daemon that ended with an exception; they are started again.",
    "facts_refused": "Facts whose time stamp is no time or lies in the future.",
    "facts_ignored": "News of exchanges whose opening was not seen, and frames seen before.",
    "latencies_left_out": "Times of tokens and first tokens that no reading uses, because the relay itself was late "
    "when it took them. The histograms have them: clients felt them.",
    "telemetry_dropped": "Spans that fell off the bounded queue to the OTLP collector, or that it refused.",
    "recording_dropped": "Facts and entries that a full queue, or a disk that refused, kept out of the recording.",
}
"""Values of ``event`` of ``watchtower_internal_events_total``."""

OTHER = "other"
"""The ``model`` of all models beyond the first few: clients choose these names, so their number is bounded."""

_SUFFIX = {
    Unit.SECONDS: "_seconds",
    Unit.RATIO: "_ratio",
    Unit.COSINE: "_cosine",
    Unit.COUNT: "",
    Unit.NATS: "_nats",
    Unit.PER_SECOND: "_per_second",
    Unit.BYTES_PER_SECOND: "_bytes_per_second",
}


def reading_metric(name: str) -> str:
    """The gauge that carries reading ``name``: ``inter_token_latency_seconds.p95`` →
    ``watchtower_inter_token_latency_p95_seconds``."""
    unit = _SUFFIX[READINGS[name].unit]
    stem = name.replace("_seconds.", ".").replace("_ratio", "").replace(".", "_")
    return f"watchtower_{stem}{unit}"


def relay_metric(name: str) -> str:
    """The counter, without ``_total``, that carries the relay's count ``name``."""
    return f"watchtower_relay_{name.removeprefix('relay_')}"
