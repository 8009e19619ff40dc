"""The two honest sets of times: ``safe`` (the defaults in ``settings``) and ``demo`` (minutes become seconds).

``demo`` replaces only defaults: what a person wrote wins. It passes the same consistency checks, and every limit that
is looser than its safe default, by profile or by hand, is listed at start.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from watchtower.settings import Settings

Value = float | int | str


class Change(NamedTuple):
    path: str
    demo: Value
    why: str


DEMO: tuple[Change, ...] = (
    Change("remediation.startup_grace_seconds", 6, "the demo's rules look back 6 s, not minutes"),
    Change("remediation.clear_dwell_seconds", 5, "five clean evaluations are enough to show recovery"),
    Change("remediation.evidence_max_age_seconds", 5, "evidence is renewed every second"),
    Change("remediation.warmup_seconds", 20, "a small engine is warm after its first answers"),
    Change("remediation.warmup_requests", 10, "the demo's client sends several requests a second"),
    Change("remediation.stabilization_seconds", 8, "one window of the demo's rules and a margin"),
    Change("remediation.verify_seconds", 60, "the audience waits"),
    Change("remediation.soak_seconds", 5, "nobody watches half an hour of nothing"),
    Change("remediation.cooldown_seconds", 10, "the next fault is injected seconds later"),
    Change("remediation.cooldown_cap_seconds", 60, "doubling must not outlast the demo"),
    Change("remediation.restarts_per_hour", 20, "every fault is injected on purpose"),
    Change("remediation.restarts_per_day", 50, "the demo is run again and again"),
    Change("remediation.attempts_per_incident", 4, "as safe"),
    Change("remediation.recurrence_seconds", 3, "each fault of the demo is an incident of its own"),
    Change("remediation.ready_seconds", 180, "the slowest start of the demo's engines, with a margin"),
    Change("remediation.blind_seconds", 60, "seconds instead of minutes"),
    Change("remediation.rollbacks_per_day", 20, "drift is injected on purpose, too"),
    Change("remediation.bless_seconds", 8, "the demo's engine has served for seconds when its weights are blessed"),
    Change("remediation.checkpoint_seconds", 15, "the demo's checkpoint is tiny: reading it back costs nothing"),
    Change("remediation.hold_deadline_seconds", 120, "a person is watching anyway"),
    Change("remediation.breaker_failures", 3, "as safe"),
    Change("remediation.flap_cycles", 50, "fault after fault is the point, not flapping"),
    Change("remediation.single_replica", "allow", "there is one engine, and it is there to be restarted"),
    Change("relay.hold.wait_seconds", 45, "a single replica: wait for the restart rather than fail"),
    Change("relay.hold.total_seconds", 120, "longer than the slowest start of the demo's engines"),
    Change("relay.hold.drain_seconds", 25, "a slowed answer of the demo ends within that"),
    Change("canary.every_seconds", 5, "a hang must be confirmed within seconds"),
    Change("canary.deadline_seconds", 4, "the demo's engine answers one token in milliseconds"),
    Change("canary.least_interval_seconds", 1, "hints come quickly here"),
    Change("references.every_seconds", 4, "drift must show within seconds"),
    Change("references.least_interval_seconds", 2, "hints come quickly here"),
    Change("references.deadline_seconds", 10, "the demo's engine answers in a second"),
    Change("references.max_tokens", 16, "a round takes seconds beside the demo's traffic"),
    Change("references.repeats", 3, "the audience waits"),
    Change("evidence.minimum_tokens", 50, "a window of the demo holds few seconds of traffic"),
    Change("evidence.minimum_requests", 5, "the same"),
    Change("evidence.minimum_clusters", 3, "the same"),
    Change("evidence.relay_lag_seconds", 0.25, "the demo shares its processors with the engine and the client"),
    Change("evidence.baseline_block_seconds", 1, "the demo learns its baseline in seconds"),
    Change("evidence.baseline_blocks", 3, "the same"),
    Change("evidence.baseline_quarantine_seconds", 4, "longer than the demo's rules take to see a fault"),
    Change("engine.observe_seconds", 0.5, "restarts take seconds, not minutes"),
    Change("engine.scrape_seconds", 1, "so that the screen moves"),
)
"""Every default that ``profile: demo`` replaces."""

_LOOSER: dict[str, Literal["higher", "lower", "differs"]] = {
    "remediation.single_replica": "differs",
    "remediation.startup_grace_seconds": "lower",
    "remediation.dwell_evaluations": "lower",
    "remediation.clear_dwell_seconds": "lower",
    "remediation.evidence_max_age_seconds": "higher",
    "remediation.stabilization_seconds": "lower",
    "remediation.soak_seconds": "lower",
    "remediation.cooldown_seconds": "lower",
    "remediation.cooldown_cap_seconds": "lower",
    "remediation.attempts_per_rung": "higher",
    "remediation.attempts_per_incident": "higher",
    "remediation.restarts_per_hour": "higher",
    "remediation.restarts_per_day": "higher",
    "remediation.rollbacks_per_day": "higher",
    "remediation.bless_seconds": "lower",
    "remediation.bless_rounds": "lower",
    "remediation.breaker_failures": "higher",
    "remediation.flap_cycles": "higher",
    "remediation.recurrence_seconds": "lower",
    "remediation.hold_deadline_seconds": "higher",
    "remediation.warmup_seconds": "lower",
    "remediation.warmup_requests": "lower",
    "relay.hold.wait_seconds": "higher",
    "relay.hold.total_seconds": "higher",
    "relay.hold.max_requests": "higher",
    "relay.hold.max_bytes": "higher",
    "relay.hold.drain_seconds": "lower",
    "canary.least_interval_seconds": "lower",
    "references.least_interval_seconds": "lower",
    "evidence.minimum_tokens": "lower",
    "evidence.minimum_requests": "lower",
    "evidence.minimum_clusters": "lower",
    "evidence.relay_lag_seconds": "higher",
    "evidence.baseline_block_seconds": "lower",
    "evidence.baseline_blocks": "lower",
    "evidence.baseline_quarantine_seconds": "lower",
}
"""Limits that protect somebody, and the direction in which they protect less."""


def loosened(settings: Settings) -> list[tuple[str, Value, Value]]:
    """(path, safe default, value in use) of every limit looser than its safe default."""
    safe = Settings()
    found = []
    for path, direction in _LOOSER.items():
        default, used = value_at(safe, path), value_at(settings, path)
        if isinstance(default, str) or isinstance(used, str):
            looser = default != used
        else:
            looser = used > default if direction == "higher" else used < default
        if looser:
            found.append((path, default, used))
    return found


def value_at(settings: Settings, path: str) -> Value:
    """The knob at a dotted path. Raises AttributeError for a path that does not exist."""
    value: object = settings
    for step in path.split("."):
        value = getattr(value, step)
    assert isinstance(value, int | float | str)
    return value
