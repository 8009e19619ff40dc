"""Limits that contradict each other are refused, in every profile: a visible list of what must hold.

A set that passes can still be unwise; a set that fails cannot do what it says (a verdict due before it may be given,
a hold that ends before its own patience). Each refusal shows both values and one way out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from watchtower.configuration.tree import Tree, dotted, place_of
from watchtower.profiles import value_at
from watchtower.settings import Settings
from watchtower.vocabulary.actions import Mode
from watchtower.vocabulary.errors import Problem
from watchtower.vocabulary.quantities import seconds


class Must(NamedTuple):
    """``left`` must be ``relation`` than ``right``; both are paths of seconds."""

    left: str
    relation: str
    right: str
    because: str

    def holds(self, left: float, right: float) -> bool:
        return left > right if self.relation == "longer than" else left >= right


_R, _H, _C, _F = "remediation.", "relay.hold.", "canary.", "references."
MUST: tuple[Must, ...] = (
    Must(
        _R + "verify_seconds", "longer than", _R + "stabilization_seconds", "no verdict is given before stabilization"
    ),
    Must(_R + "verify_seconds", "longer than", _R + "warmup_seconds", "readings are masked during the warm-up"),
    Must(
        _R + "cooldown_seconds", "at least", _R + "stabilization_seconds", "one cure is judged before the next begins"
    ),
    Must(_R + "cooldown_cap_seconds", "at least", _R + "cooldown_seconds", "the cap bounds the doubling cooldown"),
    Must(_R + "evidence_max_age_seconds", "longer than", "tick_seconds", "evidence is renewed once a tick"),
    Must(_H + "total_seconds", "at least", _H + "wait_seconds", "no request may wait longer than the hold lasts"),
    Must(_H + "total_seconds", "longer than", _H + "drain_seconds", "the drain happens inside the hold"),
    Must(_C + "every_seconds", "at least", _C + "least_interval_seconds", "no canary comes sooner than that"),
    Must(_F + "every_seconds", "at least", _F + "least_interval_seconds", "no round comes sooner than that"),
)


def contradictions(settings: Settings, tree: Tree, look_back: float, slowest_rule: str) -> list[Problem]:
    """Everything in ``settings`` that cannot hold together.

    ``look_back``: seconds that the slowest acting rule (``slowest_rule``) needs, ``over`` + ``for``; 0 without one.
    """

    def problem(path: str, what: str, cure: str) -> Problem:
        return Problem(str(place_of(tree, tuple(path.split(".")))), path, what, cure)

    found = []
    for must in MUST:
        left, right = float(value_at(settings, must.left)), float(value_at(settings, must.right))
        if not must.holds(left, right):
            what = f"{seconds(left)} is not {must.relation} {must.right} ({seconds(right)}): {must.because}"
            found.append(problem(must.left, what, f"raise it, or lower {must.right}"))
    for path, because in (
        (_R + "startup_grace_seconds", "before that its evidence is from before the start"),
        (_R + "stabilization_seconds", "before that a verdict sees readings from before the cure"),
    ):
        value = float(value_at(settings, path))
        if value < look_back:
            what = f"{seconds(value)} is shorter than rule {slowest_rule} looks back ({seconds(look_back)}): {because}"
            found.append(problem(path, what, "raise it, or shorten the rule's over: and for:"))
    if settings.hardware.source == "simulated" and settings.remediation.profile != "demo":
        what = "simulated GPUs are made up by the demo's engine: in profile safe they would hide real ones"
        found.append(problem("hardware.source", what, "use auto, nvml, dcgm or none"))
    return found + _autonomy(settings, problem)


def _autonomy(settings: Settings, problem: Callable[[str, str, str], Problem]) -> list[Problem]:
    """What ``auto`` needs before Watchtower may act alone."""
    limits = settings.remediation
    rules = [name for name, mode in limits.modes.items() if mode is Mode.AUTO]
    if limits.mode is not Mode.AUTO and not rules:
        return []
    path = "remediation.mode" if limits.mode is Mode.AUTO else dotted(("remediation", "modes", rules[0]))
    found = []
    if not settings.supervisor.acts:
        what = f"auto, but nobody can restart the engine (supervisor.kind is {settings.supervisor.kind})"
        found.append(problem(path, what, "set supervisor.kind: process and supervisor.command, or use mode: observe"))
    if limits.single_replica == "refuse":
        what = "auto would restart the only replica there is"
        cure = "add remediation.single_replica: allow once you accept that requests wait while it restarts"
        found.append(problem(path, what, cure))
    return found
