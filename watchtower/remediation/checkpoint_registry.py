"""Which weights are in memory, which are blessed, which are on trial. Values only; who decides is ``blessing``.

What is *declared* (a directory) says what should be served, what is *observed* (a digest over the engine's own weight
checksums) what is. Blessed is a pair of both: the digest proves it, the directory is where it can be loaded from. The
digest depends on how the weights are cut into ranks, so it is compared only with digests of the same deployment.
Whatever replaces the engine makes us forget what was observed, never what was blessed.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from watchtower.vocabulary.facts import CheckpointSeen

REMEMBERED = 20
"""How many changes, and how many withdrawn blessings, are kept at hand; the journal has them all."""
SHOWN = 12
"""Digits of a digest that people read."""


class Blessing(msgspec.Struct, frozen=True, kw_only=True):
    """Known to be good."""

    declared: str
    digest: str
    wall: float
    by: str
    reason: str


class Spell(msgspec.Struct, frozen=True, kw_only=True):
    """The same weights in memory, from when they were first read back."""

    declared: str
    digest: str
    wall: float


class Checkpoints(msgspec.Struct, frozen=True, kw_only=True):
    """The registry of one target."""

    marks: ClassVar[tuple[str, ...]] = ("asked_at", "looked_at", "since", "round_at")

    declared: str = ""
    observed: str = ""
    because: str = "nobody has looked yet"
    """Why ``observed`` is not known; "" when it is."""
    fingerprint: str = ""
    asked_at: float | None = None
    """When they were last asked for."""
    looked_at: float | None = None
    """When the newest answer was asked for; None: never of this incarnation."""
    since: float | None = None
    """These weights were in memory at every look since then."""
    round_at: float | None = None
    """When the newest clean canary round of these weights ended."""
    clean_rounds: int = 0
    """Clean canary rounds in a row since ``since``."""
    blessed: Blessing | None = None
    withdrawn: tuple[str, ...] = ()
    """Digests that a person does not want blessed: they never bless themselves again. Newest first."""
    history: tuple[Spell, ...] = ()
    """Newest first."""

    @property
    def is_blessed(self) -> bool:
        return bool(self.observed) and self.blessed is not None and self.blessed.digest == self.observed

    @property
    def on_trial(self) -> bool:
        """In memory is something that nobody has blessed."""
        return bool(self.observed) and not self.is_blessed


def short(digest: str) -> str:
    return digest[:SHOWN]


def read_back(known: Checkpoints, fact: CheckpointSeen, wall: float) -> Checkpoints:
    """After one look. Other weights than before start their trial from nothing."""
    seen = msgspec.structs.replace(
        known,
        declared=fact.declared or known.declared,
        observed=fact.observed,
        because="" if fact.observed else fact.because or "the engine could not tell",
        fingerprint=fact.config_fingerprint or known.fingerprint,
        looked_at=fact.at,
    )
    history = known.history
    newest = history[0].digest if history else ""
    if not fact.observed or (known.since is not None and fact.observed == newest):
        return seen
    if not history or (newest, history[0].declared) != (seen.observed, seen.declared):
        history = (Spell(declared=seen.declared, digest=seen.observed, wall=wall), *history)[:REMEMBERED]
    return msgspec.structs.replace(seen, since=fact.at, clean_rounds=0, round_at=None, history=history)


def forgotten(known: Checkpoints, because: str) -> Checkpoints:
    """Another engine, or none: what is in memory now has to be read anew."""
    return msgspec.structs.replace(
        known, observed="", because=because, asked_at=None, looked_at=None, since=None, clean_rounds=0, round_at=None
    )


def not_asked(known: Checkpoints) -> Checkpoints:
    """Watchtower itself began anew: what was under way will not be answered, and the weights may be others by now."""
    because = "not read since Watchtower started"
    return msgspec.structs.replace(known, asked_at=None, looked_at=None, because=because)


def round_ended(known: Checkpoints, at: float, clean: bool | None) -> Checkpoints:
    """A canary round of the weights in memory. One that could not tell changes nothing."""
    if clean is None or known.since is None or at <= known.since:
        return known
    if not clean:
        return msgspec.structs.replace(known, clean_rounds=0, round_at=None)
    return msgspec.structs.replace(known, clean_rounds=known.clean_rounds + 1, round_at=at)


def blessed(known: Checkpoints, wall: float, by: str, reason: str) -> Checkpoints:
    """What is in memory now is good. Needs ``observed`` and ``declared``."""
    blessing = Blessing(declared=known.declared, digest=known.observed, wall=wall, by=by, reason=reason)
    withdrawn = tuple(digest for digest in known.withdrawn if digest != known.observed)
    return msgspec.structs.replace(known, blessed=blessing, withdrawn=withdrawn)


def unblessed(known: Checkpoints) -> Checkpoints:
    """The blessing is withdrawn; these weights do not bless themselves again."""
    if known.blessed is None:
        return known
    withdrawn = tuple(dict.fromkeys((known.blessed.digest, *known.withdrawn)))[:REMEMBERED]
    return msgspec.structs.replace(known, blessed=None, withdrawn=withdrawn)
