"""Facts in, readings out: the only face of this room.

A reading is a number over a window or UNKNOWN with the reason, never a guess: a relay that cannot be seen, a window
that reaches back over a restart or a hole, an idle engine, too few requests. It has no verdict; rules have.

What ``over`` means: for latencies, rates and shares the window itself (its sub-windows lie wholly inside it, so
nothing older than ``over`` is read, and up to one second less; at least 1 s); for ``token_progress.stalled``,
``engine.absent``, canaries and scrapes, how old the evidence may be.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from watchtower.vocabulary.facts import (
    AnyFact,
    CanaryEnded,
    CanaryRound,
    CanaryStarted,
    EngineScrape,
    EngineSeen,
    GpuReport,
    LiveAnswered,
    LoopLagged,
    ReferenceAnswered,
    ReferencesKnown,
    RelayFrame,
    RelayGone,
    RelayHello,
)
from watchtower.vocabulary.readings import READINGS, Reading
from watchtower.vocabulary.reasons import Reason, ReasonKind
from watchtower.windows import estimates, live_windows, meaning_windows
from watchtower.windows.continuity import Continuity
from watchtower.windows.gpu_windows import FAMILIES, GpuWindows
from watchtower.windows.intake import Intake
from watchtower.windows.live_windows import LiveWindows
from watchtower.windows.meaning_windows import MeaningWindows
from watchtower.windows.presence import Presence
from watchtower.windows.probes import CanaryHistory, Probed, Scrapes
from watchtower.windows.series import Sample, Series
from watchtower.windows.straggler import percent
from watchtower.windows.totals import TotalsByModel
from watchtower.windows.traffic_counts import TrafficSlot
from watchtower.windows.window_settings import WindowSettings
from watchtower.windows.workload import Workload

ITL: Final = "inter_token_latency_seconds"
TTFT: Final = "time_to_first_token_seconds"
QUANTILES: Final = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}
FLOWING_SECONDS: Final = 1.0
"""Tokens this recent are progress: frames may come only once a second."""
LAGGED_SHARE: Final = 0.2
"""Latencies that the relay read late are left out; beyond one such second and this share of them,
nothing is left to trust."""
TOKENLESS_SECONDS: Final = 2.0
TOKENLESS_RATIO: Final = 0.1
"""No token for longer than this, and than this share of the window: GPUs are not compared."""
STAMP_TOLERANCE_SECONDS: Final = 60.0
"""A frame or GPU report stamped further than this ahead of the last reading's now is not believed."""
RELAY: Final = "relay"
NO_EXCHANGE: Final = Reason(ReasonKind.IDLE, "idle: no exchange", RELAY)
NONE_ENDED: Final = Reason(ReasonKind.IDLE, "idle: no exchange ended", RELAY)
NOTHING_OWED: Final = Reason(ReasonKind.IDLE, "idle: no exchange is open, so no token is owed", RELAY)


class Windows:
    """Absorbs facts in the order they arrive; reads any name of ``vocabulary.readings.READINGS``. Pure: no clock."""

    def __init__(self, settings: WindowSettings | None = None) -> None:
        self.settings = settings or WindowSettings()
        self._continuity = Continuity(self.settings.warmup_requests, self.settings.warmup_seconds)
        self._intake = Intake(self.settings, self._continuity)
        self._canaries = CanaryHistory()
        self._scrapes = Scrapes()
        self._presence = Presence()
        self._meaning = MeaningWindows(self.settings.minimum_answers)
        self._live = LiveWindows()
        self._workload = Workload(self.settings.longest_window_seconds)
        self.gpus = GpuWindows(self.settings)
        self._read_at = -math.inf
        self._moment: Moment | None = None
        self._readers = {name: self._reader(name) for name in READINGS}
        self.refused = 0
        """Facts whose time stamp is no time, or lies in the future."""

    # ── in ──────────────────────────────────────────────────────────────────────────────────────

    def absorb(self, fact: AnyFact) -> None:
        """Take in one fact. Never raises for what a fact says; what cannot be believed is counted."""
        self._moment = None
        if not math.isfinite(fact.at):
            self.refused += 1
            return
        match fact:
            case RelayFrame():
                if self._read_at > -math.inf and fact.at > self._read_at + STAMP_TOLERANCE_SECONDS:
                    self.refused += 1
                else:
                    self._intake.frame(fact)
                    self._workload.frame(fact)
            case RelayHello():
                self._intake.relays.connected(fact.worker)
            case RelayGone():
                self._intake.relays.gone(fact.worker, fact.at)
                self._intake.roster.forget_worker(fact.worker)
            case EngineScrape():
                self._scrapes.scraped(fact)
            case CanaryStarted():
                self._canaries.started(fact)
            case CanaryEnded():
                self._canaries.ended(fact)
            case ReferenceAnswered():
                self._meaning.answered(fact)
            case CanaryRound():
                self._meaning.round_ended(fact)
            case ReferencesKnown():
                self._meaning.known(fact)
                self._live.known(fact)
            case LiveAnswered():
                self._live.answered(fact)
            case EngineSeen():
                self._presence.seen(fact)
                if self._continuity.engine_seen(fact):
                    self._intake.new_incarnation()
                    self._canaries.reset(fact.at)
                    self._meaning.reset(fact.at)
                    self._live.reset(fact.at)
            case GpuReport():
                if self._read_at > -math.inf and fact.at > self._read_at + STAMP_TOLERANCE_SECONDS:
                    self.refused += 1
                else:
                    self.gpus.absorb(fact)
            case LoopLagged():
                self._read_at = max(self._read_at, fact.at)
                self._continuity.loop_lagged(fact.at)
                self._canaries.reset(self._continuity.mark)
                self._presence.reset(fact.at)

    # ── out ─────────────────────────────────────────────────────────────────────────────────────

    def read(self, name: str, over: float, now: float) -> Reading:
        """The reading ``name`` over the ``over`` seconds that end at ``now`` (CLOCK_BOOTTIME).

        Raises KeyError for a name that is not in READINGS: rules are checked before they are evaluated.
        """
        reader = self._readers.get(name)
        if reader is None:
            raise KeyError(f"no reading is called {name!r}")
        if now > self._read_at:
            self._read_at = now
        return reader(over if over > 1.0 else 1.0, now)

    def _reader(self, name: str) -> Callable[[float, float], Reading]:
        """(over, now) → the reading of this name."""
        family, _, stat = name.partition(".")
        if family in FAMILIES:
            return lambda over, now: self.gpus.read(name, over, now, lambda: self._not_at_work(over, now))
        if family in meaning_windows.FAMILIES:
            return partial(self._meaning.read, name)
        if family in live_windows.FAMILIES:
            return partial(self._live.read, name)
        if family in (ITL, TTFT):
            series = self._intake.inter_token if family == ITL else self._intake.first_token
            return partial(self._latency, series, name, stat)
        if family == "canary":
            probe: Callable[[float, float], Probed] = getattr(self._canaries, stat)
            return lambda over, now: _probed(name, over, now, probe(over, now))
        if family.startswith("engine_"):
            scrape = partial(self._scrapes.read, family.removeprefix("engine_"))
            return lambda over, now: _probed(name, over, now, scrape(over, now, self._continuity.changed_at))
        other = {"engine.absent": self._absent, "token_progress.stalled": self._stalled}
        return partial(other.get(name, self._counted), name)

    @property
    def clean_since(self) -> float:
        """CLOCK_BOOTTIME from which readings are clean: no reading uses anything older. -inf before the first fact.

        While an engine warms up it stands at its restart, and moves on to the end of the warm-up when that ends.
        """
        return self._clean_since()[0]

    def totals_for_export(self, name: str) -> TotalsByModel:
        """Cumulative counts since start of ``inter_token_latency_seconds`` or ``time_to_first_token_seconds``."""
        return {ITL: self._intake.inter_token, TTFT: self._intake.first_token}[name].totals

    @property
    def ignored(self) -> int:
        """News of exchanges whose opening was not seen, and frames seen before."""
        return self._intake.ignored

    @property
    def open_exchanges(self) -> int:
        """Generation exchanges open at the engine of today, by the newest frames."""
        return len(self._intake.roster)

    # ── one method a family ─────────────────────────────────────────────────────────────────────

    def _latency(self, series: Series, name: str, stat: str, over: float, now: float) -> Reading:
        dark = self._unseen(over, now)
        if dark is not None:
            return _unknown(name, over, now, dark)
        traffic = self._traffic(over, now)
        if traffic.lagged > max(1.0, LAGGED_SHARE * traffic.seconds):
            lag, most = traffic.worst_lag * 1000, self.settings.relay_lag_seconds * 1000
            late = f"the relay's own loop was over {most:g} ms late in {traffic.lagged} of {traffic.seconds} s"
            return _unknown(name, over, now, Reason(ReasonKind.STALE, f"{late}, at worst {lag:.0f} ms", RELAY))
        sample = series.window(now - over, now)
        if stat == "max":
            return self._longest(sample, traffic, name, over, now)
        missing = self._missing(series, sample, traffic)
        if missing is not None:
            return _unknown(name, over, now, missing, sample.exchanges)
        found = estimates.mean(sample) if stat == "mean" else estimates.quantile(sample, QUANTILES[stat])
        if found is None:
            too_few = _too_few("too few sub-windows for a confidence band")
            return _unknown(name, over, now, too_few, sample.exchanges)
        return _known(name, over, now, found, sample.exchanges)

    def _missing(self, series: Series, sample: Sample, traffic: TrafficSlot) -> Reason | None:
        """What keeps a sample from being enough; None when nothing does."""
        knobs = self.settings
        count = sample.count
        if not count:
            return self._tokenless(traffic)
        if sample.exchanges < knobs.minimum_requests:
            return _too_few(f"too few requests: {sample.exchanges} of {knobs.minimum_requests}")
        if series is self._intake.inter_token and count < knobs.minimum_tokens:
            return _too_few(f"too few tokens: {count} of {knobs.minimum_tokens}")
        if sample.clusters < knobs.minimum_clusters:
            clusters = f"{sample.clusters} of {knobs.minimum_clusters}"
            return _too_few(f"too few sub-windows with data for a confidence band: {clusters}")
        return None

    def _tokenless(self, traffic: TrafficSlot) -> Reason:
        """Why nothing was timed: it is not idle while answers pass, whether or not they can be read."""
        waiting = len(self._intake.roster)
        if waiting:
            return _too_few(f"{waiting} exchanges are open and none gave a token")
        if traffic.unobserved:
            text = f"{traffic.unobserved} answers passed in a form that is not read"
            return Reason(ReasonKind.UNOBSERVED, text, RELAY)
        if traffic.ended:
            return _too_few(f"{traffic.ended} exchanges ended without a token to time")
        return NO_EXCHANGE

    def _longest(self, sample: Sample, traffic: TrafficSlot, name: str, over: float, now: float) -> Reading:
        longest = max(sample.longest_gap, self._now(now).open_gap)
        if longest <= 0:
            missing = self._missing(self._intake.inter_token, sample, traffic)
            return _unknown(name, over, now, missing or _too_few("no gap seen"))
        return Reading(name=name, over=over, at=now, value=longest, samples=max(1, sample.exchanges))

    def _absent(self, name: str, over: float, now: float) -> Reading:
        """Its end is the last look, not ``now``: nothing was proven since. A warm-up does not mask it."""
        probed = self._presence.absent(over, now)
        end = now if probed.value is None else self._presence.looked_at
        return _probed(name, over, end, probed)

    def _stalled(self, name: str, over: float, now: float) -> Reading:
        roster, moment = self._intake.roster, self._now(now)
        dark = self._intake.relays.unheard(now) or self._presence.gone or self._continuity.warming(now)
        if dark is not None or moment.oldest is None:
            return _unknown(name, over, now, dark or NOTHING_OWED)
        since = max(moment.oldest, roster.progress_at)
        if since < moment.clean and now - moment.clean < over:
            since_then = f"{moment.hole.text} {now - moment.clean:.1f} s ago and no token was seen since"
            return _unknown(name, over, now, Reason(moment.hole.kind, since_then, moment.hole.part))
        seconds = now - max(since, moment.clean)
        waiting = moment.waiting
        remark = f"{waiting} of {len(roster)} open exchanges still wait for their first token" if waiting else ""
        value = 0.0 if seconds < FLOWING_SECONDS else seconds
        detail = self.gpus.hang_signature(value, now)
        return Reading(name=name, over=over, at=now, value=value, samples=len(roster), remark=remark, detail=detail)

    def _counted(self, name: str, over: float, now: float) -> Reading:
        dark = self._unseen(over, now)
        if dark is not None:
            return _unknown(name, over, now, dark)
        traffic = self._traffic(over, now)
        if name == "exchanges.open":
            value = traffic.mean_open()
            if value is None:
                return _unknown(name, over, now, _too_few("no two frames of a relay worker lie in the window"))
            return Reading(name=name, over=over, at=now, value=value, samples=round(over))
        if name == "exchanges.error_ratio":
            ratio = estimates.share(traffic.failed, traffic.ended)
            if ratio is None:
                waiting = len(self._intake.roster)
                none_ended = _too_few(f"{waiting} exchanges are open and none has ended") if waiting else NONE_ENDED
                return _unknown(name, over, now, none_ended)
            return _known(name, over, now, ratio, traffic.ended)
        if not traffic.heard and not len(self._intake.roster):
            return _unknown(name, over, now, NO_EXCHANGE)
        seconds = now - self._intake.traffic.begin(now - over)
        if name == "exchanges.arrival_rate":
            return Reading(name=name, over=over, at=now, value=traffic.opened / seconds, samples=traffic.opened)
        if name == "exchanges.prompt_rate":
            if traffic.unsized:
                unsized = _too_few(f"{traffic.unsized} of {traffic.opened} requests told no length")
                return _unknown(name, over, now, unsized, traffic.opened)
            most = max(traffic.asked_bytes, traffic.answered_bytes)
            return Reading(name=name, over=over, at=now, value=most / seconds, samples=traffic.opened)
        return Reading(name=name, over=over, at=now, value=traffic.tokens / seconds, samples=max(1, traffic.heard))

    def _not_at_work(self, over: float, now: float) -> Reason | None:
        """Why the GPUs of this window must not be compared; None when they may."""
        dark = self._unseen(over, now)
        if dark is not None:
            return dark
        worked, needed = self._workload.ratio(over, now), self.settings.gpu_work_ratio
        if worked < needed:
            text = f"exchanges were open in {percent(worked)} of the window's seconds, {percent(needed)} are needed"
            return Reason(ReasonKind.IDLE, f"idle: {text}", RELAY)
        waited = now - self._intake.roster.progress_at
        if waited > max(TOKENLESS_SECONDS, TOKENLESS_RATIO * over):
            return _too_few("no token comes: that is no imbalance, see token_progress.stalled")
        return None

    # ── what all of them ask ────────────────────────────────────────────────────────────────────

    def _traffic(self, over: float, now: float) -> TrafficSlot:
        past, start = self._intake.traffic_past.since(now - over, now)
        return past[start]

    def _unseen(self, over: float, now: float) -> Reason | None:
        """Why a window of the traffic cannot be read; None when it can."""
        moment = self._now(now)
        if moment.dark is not None or now - over >= moment.clean:
            return moment.dark
        text = f"{moment.hole.text} {now - moment.clean:.1f} s ago, inside the window of {over:g} s"
        return Reason(moment.hole.kind, text, moment.hole.part)

    def _now(self, now: float) -> Moment:
        if self._moment is None or self._moment.at != now:
            dark = self._intake.relays.unheard(now) or self._continuity.warming(now)
            clean, hole = self._clean_since()
            roster = self._intake.roster
            self._moment = Moment(
                now, dark, clean, hole, roster.oldest_opened_at(), roster.waiting_for_first_token(),
                roster.longest_open_gap(now, clean),
            )  # fmt: skip
        return self._moment

    def _clean_since(self) -> tuple[float, Reason]:
        relays = self._intake.relays
        ours = self._continuity.clean_since()
        return ours if ours[0] > relays.clean_since else (relays.clean_since, relays.hole)


class Moment(NamedTuple):
    """What all windows that end at one instant share, until the next fact."""

    at: float
    dark: Reason | None
    """Why nothing of the traffic can be seen; None when something can."""
    clean: float
    """Since when the story has no hole."""
    hole: Reason
    oldest: float | None
    """When the oldest of the open exchanges was opened."""
    waiting: int
    """Open exchanges without a token."""
    open_gap: float
    """Longest time since the last token of one of them, seconds."""


def _too_few(text: str) -> Reason:
    return Reason(ReasonKind.TOO_FEW, text, RELAY)


def _unknown(name: str, over: float, now: float, reason: Reason, samples: int = 0) -> Reading:
    return Reading(name=name, over=over, at=now, value=None, reason=reason, samples=samples)


def _known(name: str, over: float, now: float, found: estimates.Estimate, samples: int) -> Reading:
    return Reading(name=name, over=over, at=now, value=found.value, low=found.low, high=found.high, samples=samples)


def _probed(name: str, over: float, now: float, probed: Probed) -> Reading:
    return Reading(
        name=name, over=over, at=now, value=probed.value, reason=probed.reason, remark=probed.remark,
        samples=probed.samples,
    )  # fmt: skip
