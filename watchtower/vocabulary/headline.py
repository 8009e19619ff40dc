"""The headline: the one sentence that says how things are, from which every face takes its word.

It is computed once, in the daemon; status and its exit code, console, tab title, API, metric and alerts show it and
guess nothing. The first level that holds is said, worst first, so what is not known is never shown as well. Pure: who
asks brings the instant. All instants are CLOCK_BOOTTIME seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec

from watchtower.vocabulary.errors import ExitCode
from watchtower.vocabulary.quantities import seconds
from watchtower.vocabulary.readings import RuleVerdict, Verdict
from watchtower.vocabulary.reasons import Reason, ReasonKind, loudest
from watchtower.vocabulary.sight import WatchState, loudest_of, watch_state, watching

STALE_TICKS: Final = 3
"""A daemon whose newest evaluation is older than so many periods does not watch."""
DOCTOR: Final = "watchtower doctor"
"""What to type where Watchtower or its sight is the trouble."""
STARTING_SECONDS: Final = 15.0
"""After our own start: how long parts of ours may take to answer for the first time, windows apart."""
CALMER_SECONDS: Final = 30.0
"""A level that called somebody gives way to a calmer one only after that held for so long: a sentence that flickers is
read by nobody."""


class Level(StrEnum):
    """Worst first. The order is the order of precedence."""

    DAEMON = "daemon"
    """Watchtower itself does not answer, or stands still."""
    GONE = "gone"
    """The engine is dead, cannot be reached, or lives and never serves."""
    INCIDENT = "incident"
    TURNING_AWAY = "turning_away"
    """A good part of the requests is refused for want of room, by the engine or by us."""
    BLIND = "blind"
    """Nothing can be judged, and somebody has to mend that."""
    PARTLY_BLIND = "partly_blind"
    PAUSED = "paused"
    """A person told us to do nothing, for a while."""
    ELSEWHERE = "elsewhere"
    """Somebody else's hand is at work on the engine."""
    WARMING = "warming"
    """It has not served yet, and is still allowed not to."""
    IDLE = "idle"
    """Nothing to judge by, and that is nobody's fault."""
    WELL = "well"


EXIT_CODES: Final[dict[Level, ExitCode]] = {
    Level.DAEMON: ExitCode.UNREACHABLE,
    Level.GONE: ExitCode.PROBLEM_FOUND,
    Level.INCIDENT: ExitCode.PROBLEM_FOUND,
    Level.TURNING_AWAY: ExitCode.PROBLEM_FOUND,
    Level.BLIND: ExitCode.UNDECIDED,
    Level.PARTLY_BLIND: ExitCode.UNDECIDED,
    Level.PAUSED: ExitCode.OK,
    Level.ELSEWHERE: ExitCode.OK,
    Level.WARMING: ExitCode.OK,
    Level.IDLE: ExitCode.OK,
    Level.WELL: ExitCode.OK,
}
"""What ``watchtower status`` exits with."""

_RANK: Final = {level: rank for rank, level in enumerate(Level)}

GONE: Final = ("engine.absent", "engine.unreachable", "engine.stuck")
"""Readings whose breach means that nobody is served."""

PROOF: Final = ("inter_token_latency_seconds", "time_to_first_token_seconds", "token_progress", "canary")
"""Families of readings that prove that answers come: without one of them nobody may say that all is well."""


class Holds(msgspec.Struct, frozen=True):
    """Something that holds, in words, and since when."""

    sentence: str
    """For people, without a full stop."""
    since: float
    next_command: str = ""
    """What to type next; "" where there is nothing to do."""


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """What the headline is made of. None: does not hold."""

    target: str
    tick_at: float | None
    """The newest evaluation; None before the first."""
    tick_seconds: float
    """The period of evaluations."""
    started_at: float
    verdicts: tuple[RuleVerdict, ...] = ()
    incident: Holds | None = None
    """The worst symptom now."""
    curing: bool = False
    """The incident's cure acts or verifies: an engine that is gone is gone by our hand."""
    turning_away: Holds | None = None
    bypassed: Holds | None = None
    """A person keeps the relay from reading anything."""
    paused: Holds | None = None


class Headline(msgspec.Struct, frozen=True, kw_only=True):
    level: Level
    sentence: str
    """For people, the target's name first, without a full stop."""
    since: float | None
    """When this level began; None where nobody can tell."""
    next_command: str = ""
    also: tuple[str, ...] = ()
    """What else holds and is hidden behind the level, in the order of the levels."""
    judging: int = 0
    """Rules that are judged now."""
    rules: int = 0
    remark: str = ""
    """Which rules are not judged, counted by why: ``12 of 14 rules judge; 2 are off``."""

    @property
    def exit_code(self) -> ExitCode:
        return EXIT_CODES[self.level]

    def document(self) -> dict[str, Any]:
        """As the API has it."""
        return {**msgspec.to_builtins(self), "exit_code": int(self.exit_code)}


def headline(watched: Watched | None, now: float) -> Headline:
    """Of one instant; ``steady`` keeps it from flickering. ``watched`` None: the daemon does not answer."""
    if watched is None:
        return Headline(
            level=Level.DAEMON,
            sentence="Watchtower does not answer, so nobody watches",
            since=None,
            next_command=DOCTOR,
        )
    holding = _holding(watched, now)
    level, condition = holding[0]
    judging = sum(verdict.verdict is not Verdict.UNKNOWN for verdict in watched.verdicts)
    return Headline(
        level=level,
        sentence=f"{watched.target}: {condition.sentence}",
        since=condition.since,
        next_command=condition.next_command,
        also=tuple(condition.sentence for level, condition in holding[1:] if _RANK[level] < _RANK[Level.WARMING]),
        judging=judging,
        rules=len(watched.verdicts),
        remark=_remark(watched.verdicts),
    )


def _holding(watched: Watched, now: float) -> list[tuple[Level, Holds]]:
    """Every level that holds, worst first; never empty."""
    stale = _stale(watched, now)
    named: list[tuple[Level, Holds | None]] = [
        (Level.DAEMON, stale),
        (Level.GONE, None if watched.curing else _gone(watched)),
        (Level.INCIDENT, watched.incident),
        (Level.TURNING_AWAY, watched.turning_away),
        (Level.BLIND, watched.bypassed),
        *_sight(watched, now),
        (Level.PAUSED, watched.paused),
        (Level.ELSEWHERE, _rests(watched, ReasonKind.ELSEWHERE)),
        (Level.WARMING, _rests(watched, ReasonKind.WARMING)),
    ]
    found = [(level, condition) for level, condition in named if condition is not None]
    found.append(_calm(watched))
    return found


def _gone(watched: Watched) -> Holds | None:
    for verdict in watched.verdicts:
        if verdict.verdict is Verdict.BREACH and any(reading.name in GONE for reading in verdict.readings):
            command = watched.incident.next_command if watched.incident is not None else DOCTOR
            return Holds(verdict.sentence, _since(verdict, watched), command)
    return None


def _rests(watched: Watched, kind: ReasonKind) -> Holds | None:
    """The rules that watch the service are unknown for this silent reason."""
    for verdict in watching(watched.verdicts):
        if verdict.verdict is Verdict.UNKNOWN:
            for reason in verdict.reasons:
                if reason.kind is kind:
                    return Holds(reason.text, _since(verdict, watched))
    return None


def _since(verdict: RuleVerdict, watched: Watched) -> float:
    return verdict.since if verdict.since is not None else watched.started_at


def _stale(watched: Watched, now: float) -> Holds | None:
    newest = watched.tick_at if watched.tick_at is not None else watched.started_at
    age = now - newest
    if age <= STALE_TICKS * watched.tick_seconds:
        return None
    return Holds(f"Watchtower stands still: it last judged {seconds(age)} ago", newest, DOCTOR)


def _sight(watched: Watched, now: float) -> list[tuple[Level, Holds | None]]:
    watched_rules = watching(watched.verdicts)
    state = watch_state(watched.verdicts)
    if state not in (WatchState.BLIND, WatchState.PARTLY_BLIND):
        return []
    lead = loudest_of(watched_rules)
    reason = loudest(lead.reasons)
    because = lead.sentence if reason is None else reason.text
    since = _since(lead, watched)
    if now - watched.started_at < STARTING_SECONDS + max((reading.over for reading in lead.readings), default=0.0):
        return [(Level.WARMING, Holds(f"Watchtower has just started · {because}", watched.started_at))]
    if state is WatchState.BLIND:
        condition = Holds(f"no rule can be judged · {because}", since, DOCTOR)
        return [(Level.BLIND, condition)]
    unknown = [verdict.rule for verdict in watched_rules if verdict.verdict is Verdict.UNKNOWN]
    condition = Holds(f"{', '.join(unknown)} cannot be judged · {because}", since, DOCTOR)
    return [(Level.PARTLY_BLIND, condition)]


def _calm(watched: Watched) -> tuple[Level, Holds]:
    """Well where answers prove it; else at rest, with the loudest of the silent reasons."""
    proven = [verdict for verdict in watched.verdicts if _proves(verdict)]
    if proven:
        since = max(_since(verdict, watched) for verdict in proven)
        return Level.WELL, Holds("nothing is wrong", since)
    reason = loudest(_silent(watched.verdicts))
    if reason is None:
        return Level.IDLE, Holds("nothing was judged yet", watched.started_at)
    return Level.IDLE, Holds(f"nothing to judge by · {reason.text}", watched.started_at)


def _proves(verdict: RuleVerdict) -> bool:
    return verdict.verdict is not Verdict.UNKNOWN and any(
        reading.known and reading.name.startswith(PROOF) for reading in verdict.readings
    )


def _silent(verdicts: Sequence[RuleVerdict]) -> list[Reason]:
    """Of the rules that would prove something; a part that is off explains nothing about the rest."""
    found = [reason for verdict in watching(verdicts) for reason in verdict.reasons]
    return [reason for reason in found if reason.kind is not ReasonKind.NOT_CONFIGURED] or found


def _remark(verdicts: Sequence[RuleVerdict]) -> str:
    unknown = [verdict for verdict in verdicts if verdict.verdict is Verdict.UNKNOWN]
    counts = Counter(_why_not(verdict) for verdict in unknown)
    parts = [f"{len(verdicts) - len(unknown)} of {len(verdicts)} rules judge"]
    parts += [f"{counts[why]} {'is' if counts[why] == 1 else 'are'} {why}" for why in _WHY_NOT_ORDER if counts[why]]
    return "; ".join(parts)


_WHY_NOT: Final[dict[ReasonKind, str]] = {
    ReasonKind.UNREADABLE: "blind",
    ReasonKind.UNOBSERVED: "blind",
    ReasonKind.STALE: "blind",
    ReasonKind.ELSEWHERE: "waiting for somebody else",
    ReasonKind.WARMING: "waiting for the engine",
    ReasonKind.LEARNING: "learning",
    ReasonKind.TOO_FEW: "short of data",
    ReasonKind.UNDECIDED: "undecided",
    ReasonKind.NOT_CONFIGURED: "off",
    ReasonKind.IDLE: "idle",
}
_WHY_NOT_ORDER: Final = tuple(dict.fromkeys(_WHY_NOT.values()))


def _why_not(verdict: RuleVerdict) -> str:
    reason = loudest(verdict.reasons)
    return _WHY_NOT[ReasonKind.UNREADABLE if reason is None else reason.kind]


def as_of(shown: Headline | None, watched: Watched, now: float) -> Headline:
    """``shown``, which was true of the newest evaluation, unless there was none or the daemon has stood still since."""
    return headline(watched, now) if shown is None or _stale(watched, now) is not None else shown


class Steady:
    """Keeps the headline from flickering: worse is said at once, calmer after CALMER_SECONDS."""

    def __init__(self) -> None:
        self._shown: Headline | None = None
        self._calmer_since: float | None = None

    def update(self, found: Headline, now: float) -> Headline:
        """What is to be shown at ``now``."""
        shown = self._shown
        if shown is None or shown.exit_code is ExitCode.OK or _RANK[found.level] <= _RANK[shown.level]:
            self._calmer_since = None
        else:
            self._calmer_since = now if self._calmer_since is None else self._calmer_since
            if now - self._calmer_since < CALMER_SECONDS:
                return shown
            self._calmer_since = None
        if shown is not None and shown.level is found.level:
            found = msgspec.structs.replace(found, since=shown.since)
        self._shown = found
        return found
