"""GPU reports in, readings of the hardware out: spread, dispersion, straggler, fatal errors of the driver.

Only the GPUs of one group (the ranks of one tensor-parallel group) are compared, over the same stretch of time, and
only while the engine is at work. Whatever cannot be read makes the whole reading UNKNOWN with its reason, never 0:
a group with an unread rank may hide anything. Momentary differences mean nothing (the GPUs sample out of phase), so
windows are compared, not instants. A simulated source is named in every reading.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from operator import itemgetter
from statistics import median
from typing import Any, Final

from watchtower.vocabulary.facts import GpuReport
from watchtower.vocabulary.gpus import GpuSeen, GpuSource, Trouble
from watchtower.vocabulary.readings import Reading
from watchtower.vocabulary.reasons import Reason, ReasonKind
from watchtower.windows.gpu_ranks import Rank, Track
from watchtower.windows.straggler import explained, percent, worst
from watchtower.windows.window_settings import WindowSettings
from watchtower.windows.xid_log import FATAL_XIDS, XidLog, describe

FAMILIES: Final = ("gpu_utilization", "gpu_straggler", "gpu_xid")
PART: Final = "gpu"
NO_GPU: Final = Reason(
    ReasonKind.NOT_CONFIGURED, "no GPU source is configured; readings need NVML on this host or a DCGM exporter", PART
)
UNNAMED: Final = Reason(ReasonKind.UNREADABLE, "its source has never named it", PART)
STALE_SECONDS: Final = 5.0
"""A newest sample older than this (or than twice its own length) says nothing about now."""
LONGEST_OVER: Final = 1.5
"""Samples that cover so much more than the window tell of another time."""
NOTABLE: Final = 0.05
"""A spread below this needs no name."""
SPINNING: Final = 0.9
STANDING: Final = 0.1
WAITING_POWER: Final = 0.5
"""Share of its power limit below which a GPU that reads busy only waits."""
HANG_SECONDS: Final = 5.0

TROUBLES: Final[dict[Trouble, str]] = {
    Trouble.NOT_SUPPORTED: "its driver does not tell utilization",
    Trouble.NO_PERMISSION: "this container may not read it",
    Trouble.LOST: "it fell off the bus: a reset or a reboot brings it back",
    Trouble.RESET_REQUIRED: "it needs a reset",
    Trouble.MIG: "it is cut into MIG slices, which have no utilization",
    Trouble.NOT_VISIBLE: "it is not visible from here",
    Trouble.DRIVER_WEDGED: "its driver does not answer",
    Trouble.DRIVER_ABSENT: "there is no driver here",
    Trouble.DRIVER_MISMATCH: "the driver was replaced: restart this container",
    Trouble.RELEASED: "it was let go on request, so that it can be reset",
    Trouble.STALE: "its source is silent",
    Trouble.FAULT: "its source reports an error",
}
"""What each trouble means for a reading: UNKNOWN, because of this."""
_KINDS: Final[dict[Trouble, ReasonKind]] = {
    Trouble.NOT_SUPPORTED: ReasonKind.NOT_CONFIGURED,
    Trouble.MIG: ReasonKind.NOT_CONFIGURED,
    Trouble.RELEASED: ReasonKind.ELSEWHERE,
}
"""All others are UNREADABLE: a part that is on does not answer."""

NotAtWork = Callable[[], Reason | None]


class GpuWindows:
    """Absorbs GpuReport; reads the names of ``FAMILIES``. Pure: no clock."""

    def __init__(self, settings: WindowSettings) -> None:
        self._settings = settings
        self._report: GpuReport | None = None
        self._tracks: dict[str, Track] = {}
        self.xids = XidLog()

    def absorb(self, report: GpuReport) -> None:
        if self._report is not None and report.at <= self._report.at:
            return
        self._report = report
        self.xids.absorb(report.xids)
        for seen in report.gpus:
            track = self._tracks.get(seen.uuid)
            if track is None:
                track = self._tracks[seen.uuid] = Track(seen.uuid, self._settings.longest_window_seconds)
            track.add(report.at, seen)
        gone = report.at - self._settings.longest_window_seconds
        self._tracks = {uuid: track for uuid, track in self._tracks.items() if track.reported_at > gone}

    def read(self, name: str, over: float, now: float, not_at_work: NotAtWork = lambda: None) -> Reading:
        """``not_at_work`` tells why the engine's work of the window cannot be compared; None when it can."""
        if name == FATAL_XIDS:
            return self._fatal_xids(over, now)
        groups = self._groups()
        reason = self._dark(now) or self._nothing_to_compare(groups) or not_at_work()
        measured: list[list[Rank]] = []
        for group in groups if reason is None else ():
            if len(group) > 1:
                ranks = self._ranks(group, over, now)
                if isinstance(ranks, Reason):
                    reason = ranks
                    break
                measured.append(ranks)
        if reason is not None:
            return Reading(name=name, over=over, at=now, value=None, reason=self._of_source(reason))
        value, detail, samples = max(map(_MEASURES[name], measured), key=itemgetter(0))
        return Reading(name=name, over=over, at=now, value=value, samples=samples, detail=self._named(detail))

    def _fatal_xids(self, over: float, now: float) -> Reading:
        """What was heard stays known although its GPU, or the whole driver, fell silent since. That nothing was heard
        means something only where somebody listens, whether or not the engine is at work."""
        silent = {uuid for uuid, track in self._tracks.items() if track.last.trouble is not None}
        fatal = [xid for xid in self.xids.fatal() if xid.at > now - over or xid.uuid in silent]
        if fatal:
            labels = {xid.uuid: _label(xid.uuid, self._tracks.get(xid.uuid)) for xid in fatal}
            detail = self._named(describe(fatal, labels))
            return Reading(name=FATAL_XIDS, over=over, at=now, value=len(fatal), samples=len(fatal), detail=detail)
        reason = self._dark(now) or next(filter(None, map(_deaf, self._tracks.values())), None)
        if reason is not None:
            return Reading(name=FATAL_XIDS, over=over, at=now, value=None, reason=self._of_source(reason))
        return Reading(name=FATAL_XIDS, over=over, at=now, value=0.0)

    def hang_signature(self, seconds: float, now: float) -> str:
        """What the GPUs looked like while no token came for ``seconds``: evidence for people, never a verdict."""
        if self._dark(now) or seconds < HANG_SECONDS / 2:
            return ""
        said = []
        for group in self._groups():
            ranks = self._ranks(group, min(HANG_SECONDS, seconds), now, least_busy=0.0)
            if not isinstance(ranks, Reason) and (signature := _signature(ranks)):
                said.append(signature)
        return self._named("; ".join(said)) if said else ""

    def as_json(self, over: float, now: float) -> dict[str, Any]:
        """Every GPU as it is now, for the API and the exporters; absent values are null, never 0."""
        report = self._report
        if report is None:
            return {"source": None, "because": NO_GPU.text, "gpus": []}
        return {
            "source": report.source.value,
            "because": _text(self._dark(now)),
            "age_seconds": round(now - report.at, 3),
            "groups": self._groups(),
            "gpus": [self._gpu_json(track, over, now) for _, track in sorted(self._tracks.items(), key=_order)],
        }

    def newest(self) -> list[GpuSeen]:
        """What was last told of each GPU, in order of index."""
        return [track.last for _, track in sorted(self._tracks.items(), key=_order)]

    # ── who, and whether they can be read ───────────────────────────────────────────────────────

    def _groups(self) -> list[list[str]]:
        """As configured; otherwise all GPUs of the source are one group."""
        if self._settings.gpu_groups:
            return [list(group) for group in self._settings.gpu_groups]
        return [[uuid for uuid, _ in sorted(self._tracks.items(), key=_order)]] if self._tracks else []

    def _dark(self, now: float) -> Reason | None:
        """Why nothing can be said of any GPU; None when something can."""
        report = self._report
        if report is None:
            return NO_GPU
        if report.trouble is not None:
            return _troubled(report.trouble, report.because, "no GPU can be read")
        if not self._tracks:
            return Reason(ReasonKind.UNREADABLE, "the source names no GPU", PART)
        return None

    def _nothing_to_compare(self, groups: list[list[str]]) -> Reason | None:
        if any(len(group) > 1 for group in groups):
            return None
        text = "one GPU has no spread" if groups and len(groups) == 1 else "no group has two GPUs to compare"
        return Reason(ReasonKind.NOT_CONFIGURED, text, PART)

    def _ranks(self, group: Sequence[str], over: float, now: float, *, least_busy: float = -1) -> list[Rank] | Reason:
        """The group's GPUs over the ``over`` seconds that end at the newest instant known of all of them, or why they
        cannot be read."""
        tracks = []
        for uuid in group:
            track = self._tracks.get(uuid)
            reason = _unread(track, now)
            if track is None or reason is not None:
                return _about(uuid, track, reason or UNNAMED)
            tracks.append(track)
        until = min(now, *(track.busyness.newest for track in tracks))
        ranks = [track.rank(until - over, until) for track in tracks]
        for rank in ranks:
            if rank.busy.seconds < self._settings.gpu_coverage_ratio * over:
                text = f"{rank.label}: {rank.busy.seconds:.1f} s of {over:g} s are covered by samples"
                return Reason(ReasonKind.TOO_FEW, text, PART)
            if rank.busy.seconds > LONGEST_OVER * over:
                text = f"{rank.label}: its samples are too long for a window of {over:g} s"
                return Reason(ReasonKind.TOO_FEW, text, PART)
        least = self._settings.gpu_least_busy_ratio if least_busy < 0 else least_busy
        if (most := max(rank.busy.mean for rank in ranks)) < least:
            text = f"idle: no GPU of the group is busier than {percent(most)}, {percent(least)} are needed to compare"
            return Reason(ReasonKind.IDLE, text, PART)
        return ranks

    def _of_source(self, reason: Reason) -> Reason:
        return Reason(reason.kind, self._named(reason.text), reason.part)

    def _named(self, text: str) -> str:
        if self._report is None or self._report.source is not GpuSource.SIMULATED:
            return text
        return f"simulated GPUs: {text}" if text else "simulated GPUs"

    def _gpu_json(self, track: Track, over: float, now: float) -> dict[str, Any]:
        seen = track.last
        reason = _unread(track, now)
        until = min(now, track.busyness.newest)
        busy = track.busyness.between(until - over, until)
        covered = busy.seconds >= self._settings.gpu_coverage_ratio * over and reason is None
        return {
            "uuid": seen.uuid,
            "index": seen.index,
            "name": seen.name,
            "because": _text(reason),
            "trouble": seen.trouble,
            "utilization": round(busy.mean, 4) if covered else None,
            "utilization_deviation": round(busy.deviation, 4) if covered else None,
            **{name: _shown(getattr(seen, name)) for name in _SHOWN},
            "throttled_ns": dict(seen.throttled_ns),
            "unavailable": {name: trouble.value for name, trouble in seen.unavailable.items()},
            "xids": self.xids.counts(seen.uuid),
        }


_SHOWN = (
    *("sm_active", "dram_active", "sm_clock_hz", "sm_clock_max_hz", "power_watts", "power_limit_watts"),
    *("temperature_celsius", "memory_used_bytes", "memory_total_bytes", "throttle_reasons"),
    *("ecc_corrected", "ecc_uncorrected", "remap_pending", "remap_failed", "recovery_action"),
    *("nvlink_errors", "nvlink_active", "nvlink_total", "pcie_replays"),
    *("pcie_generation", "pcie_width", "pcie_generation_max", "pcie_width_max"),
)


def _shown(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _order(item: tuple[str, Track]) -> tuple[int, str]:
    return item[1].last.index, item[0]


def _label(uuid: str, track: Track | None) -> str:
    return uuid if track is None or track.last.index < 0 else f"GPU {track.last.index} ({uuid})"


def _text(reason: Reason | None) -> str:
    return "" if reason is None else reason.text


def _about(uuid: str, track: Track | None, reason: Reason) -> Reason:
    return Reason(reason.kind, f"{_label(uuid, track)}: {reason.text}", PART)


def _troubled(trouble: Trouble, because: str, what: str = "") -> Reason:
    why = f"{TROUBLES[trouble]} ({because})" if because else TROUBLES[trouble]
    return Reason(_KINDS.get(trouble, ReasonKind.UNREADABLE), f"{what}: {why}" if what else why, PART)


def _deaf(track: Track) -> Reason | None:
    """Why nobody would hear an Xid of this GPU; None when somebody listens."""
    trouble = track.last.trouble or track.last.unavailable.get("xids")
    if trouble is None:
        return None
    return _about(track.uuid, track, _troubled(trouble, track.last.because, "no Xid is heard"))


def _unread(track: Track | None, now: float) -> Reason | None:
    """Why this GPU's utilization cannot be read at ``now``; None when it can."""
    if track is None:
        return UNNAMED
    trouble = track.last.trouble or track.last.unavailable.get("utilization")
    if trouble is not None:
        return _troubled(trouble, track.last.because)
    age, allowed = now - track.busyness.newest, max(STALE_SECONDS, 2 * track.busyness.newest_seconds)
    if math.isinf(age):
        return Reason(ReasonKind.TOO_FEW, "no utilization sample yet", PART)
    if age > allowed:
        return Reason(ReasonKind.UNREADABLE, f"its newest utilization sample is {age:.0f} s old", PART)
    return None


# ── one function a reading: (value, what people should know beside it, samples) ─────────────────────

_Measured = tuple[float, str, int]


def _spread(ranks: Sequence[Rank]) -> _Measured:
    means = [rank.busy.mean for rank in ranks]
    value = max(means) - min(means)
    return value, _odd_one(ranks), len(ranks)


def _dispersion(ranks: Sequence[Rank]) -> _Measured:
    return median(rank.busy.deviation for rank in ranks), "", len(ranks)


def _straggler(ranks: Sequence[Rank]) -> _Measured:
    found = worst(ranks)
    return found.score, found.sentence if found.score >= 1 else "", len(ranks)


_MEASURES: dict[str, Callable[[Sequence[Rank]], _Measured]] = {
    "gpu_utilization.spread": _spread,
    "gpu_utilization.dispersion": _dispersion,
    "gpu_straggler.score": _straggler,
}


def _odd_one(ranks: Sequence[Rank]) -> str:
    """The rank furthest from its peers, and why; of two nobody can tell from utilization which one is odd."""
    means = [rank.busy.mean for rank in ranks]
    if max(means) - min(means) < NOTABLE:
        return ""
    if len(ranks) == 2:
        text = " and ".join(f"{rank.label} {percent(rank.busy.mean)}" for rank in ranks)
        found = worst(ranks)
        return f"{text}; {found.sentence}" if found.score >= 1 and found.other is None else text
    odd = max(ranks, key=lambda rank: abs(rank.busy.mean - _others(rank, ranks)))
    others = _others(odd, ranks)
    sign = explained(odd, [peer for peer in ranks if peer is not odd])
    if odd.busy.mean > others:
        why = "another process may be using it"
    else:
        why = f"{sign.cause}, {sign.text}" if sign else "host stall: its own process gives it too little to do"
    return f"{odd.label} works {percent(odd.busy.mean)}, the others {percent(others)}: {why}"


def _others(rank: Rank, ranks: Sequence[Rank]) -> float:
    return median(peer.busy.mean for peer in ranks if peer is not rank)


def _signature(ranks: Sequence[Rank]) -> str:
    spinning = [rank for rank in ranks if rank.busy.mean >= SPINNING]
    standing = [rank for rank in ranks if rank.busy.mean <= STANDING]
    if len(standing) == 1 and len(spinning) == len(ranks) - 1 and spinning:
        return f"{standing[0].label} stands still while its peers spin at 100 %: it is the suspect"
    powers = [
        rank.power_watts / rank.power_limit_watts for rank in spinning if rank.power_watts and rank.power_limit_watts
    ]
    if len(spinning) == len(ranks) and powers and max(powers) < WAITING_POWER:
        return f"all GPUs read busy at {percent(median(powers))} of their power: they wait in a collective"
    if len(standing) == len(ranks):
        return "all GPUs stand still: no work reaches them"
    return ""
