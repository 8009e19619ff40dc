"""Every metric that we export, with the sentence that its HELP line says. ``docs/metrics.md`` is generated from here.

The readings' gauges and the relay's counters are named after ``readings.READINGS`` and ``words.RELAY_COUNTERS``.
"""

from __future__ import annotations

METRICS: dict[str, str] = {
    "watchtower_build_info": "Version, profile and mode of this Watchtower.",
    "watchtower_start_timestamp_seconds": "When this daemon started, Unix time.",
    "watchtower_last_evaluation_timestamp_seconds": "When the rules were last evaluated, Unix time. Alert on its age: "
    "it is the dead man's handle.",
    "watchtower_evaluations_total": "Evaluations of all rules.",
    "watchtower_loop_lag_seconds": "How late the newest evaluation was.",
    "watchtower_engine_known": "1 while the adapter can tell who is running.",
    "watchtower_engine_serving": "1 while the engine says that it accepts requests; a hint, never proof of health.",
    "watchtower_inter_token_latency_seconds": "Time per output token after the first, as clients see it.",
    "watchtower_time_to_first_token_seconds": "From forwarding a request's head to its first token.",
    "watchtower_rule_verdict": "1 for the present verdict of each rule: ok, breach or unknown.",
    "watchtower_rule_firing": "1 while a rule has been in breach for its whole 'for'.",
    "watchtower_rule_limit": "The limit of each rule's decisive comparison, in the base unit of its reading.",
    "watchtower_incident_state": "1 for the present state of this target's incident; 'clear' without one.",
    "watchtower_incident_held": "1 for each reason that holds the present incident's cure back.",
    "watchtower_recent_actions": "Actions in the recent history (at most 50), by verb and state.",
    "watchtower_paused": "1 while a person has paused Watchtower.",
    "watchtower_storage_fault": "1 while the journal is damaged or cannot be written: observing only.",
    "watchtower_relay_workers": "Relay workers connected to the daemon.",
    "watchtower_relay_open_exchanges": "Generation exchanges open at the engine now.",
    "watchtower_relay_parked_requests": "Requests held at their head while a cure is under way.",
    "watchtower_relay_dropped_news_total": "Observations that fell off a relay worker's bounded queue.",
    "watchtower_relay_caused_errors_total": "Client errors that the relay itself caused, by kind: never the engine's.",
    "watchtower_gpu_source_up": "1 while the hardware source (nvml, dcgm, simulated) can be read.",
    "watchtower_gpu_info": "UUID, model name and source of each GPU; `gpu` is its index on this boot.",
    "watchtower_gpu_readable": "1 while utilization of this GPU can be read.",
    "watchtower_gpu_utilization_ratio": "Mean share of the last window with a kernel executing. A GPU that waits in a "
    "collective reads busy.",
    "watchtower_gpu_sm_active_ratio": "Share of streaming multiprocessors in use (GPM or DCGM profiling).",
    "watchtower_gpu_dram_active_ratio": "Share of the memory bandwidth in use (GPM or DCGM profiling).",
    "watchtower_gpu_sm_clock_hertz": "SM clock now.",
    "watchtower_gpu_power_watts": "Power draw, as the driver averages it.",
    "watchtower_gpu_power_limit_watts": "The power limit that is enforced.",
    "watchtower_gpu_temperature_celsius": "Temperature of the GPU.",
    "watchtower_gpu_memory_used_bytes": "Device memory in use.",
    "watchtower_gpu_memory_total_bytes": "Device memory there is.",
    "watchtower_gpu_nvlink_errors_total": "NVLink replays, recoveries and CRC errors since the driver loaded.",
    "watchtower_gpu_pcie_replays_total": "PCIe replays since the driver loaded.",
    "watchtower_gpu_ecc_corrected_errors_total": "Corrected memory errors since the driver loaded.",
    "watchtower_gpu_ecc_uncorrected_errors_total": "Uncorrected memory errors since the driver loaded.",
    "watchtower_gpu_throttled_seconds_total": "Time with clocks held down, by reason, since the driver loaded.",
    "watchtower_placement_mismatch": "GPUs of a stage that differ from what `placement` expects, by question.",
    "watchtower_references": "References in force: questions of ours whose blessed answers are known.",
    "watchtower_reference_rounds_total": "Rounds in which all references were asked, by result: clean, changed, "
    "unclear (too few answers), skipped (engine saturated, no users).",
    "watchtower_reference_answers_total": "References asked again, by result: answered or unanswered.",
    "watchtower_reference_tokens_total": "Prompt and completion tokens that reference canaries have cost the engine.",
    "watchtower_canaries_total": "One-token canaries by outcome.",
    "watchtower_notices_total": "Deliveries of notices to sinks by result.",
    "watchtower_outbox_pending": "Notices waiting for delivery.",
    "watchtower_outbox_oldest_age_seconds": "Age of the oldest notice that waits.",
    "watchtower_internal_events_total": "What happened to our own queues and children: drops, restarts, failures.",
}
