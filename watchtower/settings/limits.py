"""The knobs of judging and acting: how much evidence a reading needs, and every limit of the safety model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from watchtower.knobs import Group, Seconds
from watchtower.vocabulary.actions import Mode


class EvidenceSettings(Group):
    """How much a reading needs before it is more than UNKNOWN."""

    minimum_tokens: Annotated[int, Field(ge=1)] = 200
    """Token latencies in a window."""
    minimum_requests: Annotated[int, Field(ge=1)] = 20
    """Requests in a window; tokens of one request are not independent."""
    minimum_clusters: Annotated[int, Field(ge=3)] = 5
    """Seconds with data in a window; a confidence band needs that many clusters."""
    relay_lag_seconds: Seconds = 0.005
    """A relay worker whose own loop was later than this measured itself, not the engine."""
    baseline_block_seconds: Seconds = 10.0
    """Length of one block of the load baseline."""
    baseline_blocks: Annotated[int, Field(ge=1)] = 30
    """Blocks at a matched load before the baseline may say that load does not explain a latency."""
    baseline_quarantine_seconds: Seconds = 120.0
    """A block joins the baseline only when nothing went wrong for this long after it."""


class RemediationSettings(Group):
    """Every limit of the safety model. The profile sets the defaults; what is written here wins."""

    profile: Literal["safe", "demo"] = "safe"
    """``safe``: for real servers. ``demo``: minutes become seconds; every loosened limit is printed at start."""
    mode: Mode = Mode.OBSERVE
    """observe: say what would be done. approve: ask. auto: do it. Per rule in ``modes``."""
    modes: dict[str, Mode] = {}
    """Mode of single rules, ``rule`` or ``rule.verb``: mode."""
    single_replica: Literal["refuse", "allow"] = "refuse"
    """``auto`` may restart the only replica there is."""
    startup_grace_seconds: Seconds = 300.0
    """No new action this soon after Watchtower started."""
    dwell_evaluations: Annotated[int, Field(ge=1)] = 2
    """Evaluations in a row that must breach before an incident opens."""
    clear_dwell_seconds: Seconds = 300.0
    """How long all rules must be OK before an incident counts as recovered."""
    evidence_max_age_seconds: Seconds = 15.0
    """Older evidence never starts an action."""
    warmup_seconds: Seconds = 600.0
    """Longest that readings after a restart are masked (ends earlier at ``warmup_requests``)."""
    warmup_requests: Annotated[int, Field(ge=0)] = 50
    """Served requests that end the warm-up."""
    stabilization_seconds: Seconds = 360.0
    """Shortest time between a cure and its verdict."""
    verify_seconds: Seconds = 1200.0
    """No verdict by then: inconclusive."""
    soak_seconds: Seconds = 1800.0
    """How long RECOVERING lasts before RESOLVED."""
    cooldown_seconds: Seconds = 900.0
    """After an action; doubles with every further one."""
    cooldown_cap_seconds: Seconds = 4 * 3600.0
    attempts_per_rung: Annotated[int, Field(ge=0)] = 2
    """Tries of the same verb in one incident."""
    attempts_per_incident: Annotated[int, Field(ge=0)] = 4
    """Tries of any verb in one incident; then a person is asked."""
    restarts_per_hour: Annotated[int, Field(ge=0)] = 2
    """0 means never."""
    restarts_per_day: Annotated[int, Field(ge=0)] = 4
    """The same in 24 h."""
    rollbacks_per_day: Annotated[int, Field(ge=0)] = 1
    """Back to the blessed checkpoint; more than one a day is a person's work."""
    bless_seconds: Seconds = 1800.0
    """How long the same weights must be in memory, without an incident, before they bless themselves."""
    bless_rounds: Annotated[int, Field(ge=1)] = 3
    """Clean canary rounds in a row in that time. Without references there are no rounds: then a person blesses."""
    checkpoint_seconds: Seconds = 3600.0
    """How often the weights in memory are read back, beside every start and every rollback. The engine stands still
    while it hashes them: about a second for each gigabyte of one rank."""
    checkpoint_deadline_seconds: Seconds = 120.0
    """Longest that reading them back may take."""
    reload_seconds: Seconds = 600.0
    """Longest that a rollback may take to load the blessed checkpoint and read it back."""
    breaker_failures: Annotated[int, Field(ge=1)] = 3
    """This many ineffective or ambiguous actions in 24 h open the breaker; only a person closes it."""
    flap_cycles: Annotated[int, Field(ge=2)] = 3
    """This many incidents opened and resolved in 6 h escalate."""
    recurrence_seconds: Seconds = 6 * 3600.0
    """A breach this soon after RESOLVED reopens the same incident, attempts kept."""
    hold_deadline_seconds: Seconds = 1800.0
    """HELD longer than this escalates (not for observe, paused)."""
    execute_seconds: Seconds = 120.0
    """Adapter deadline for starting a cure; the drain is not counted."""
    ready_seconds: Seconds = 600.0
    """How long a cure may take until the new incarnation serves a canary."""
    blind_seconds: Seconds = 300.0
    """No rule that wakes people can be judged for so long, although the engine serves: people are told."""
    observe_seconds: Seconds = 5.0
    """Adapter deadline for looking."""
    loop_lag_seconds: Seconds = 3.0
    """Our own loop stood still for longer: the windows over the gap are UNKNOWN."""
