"""Readings of what the relay saw: latencies, rates and shares, of all traffic or of one tag and variant.

Whatever hides a part of the window (a silent relay, a restart, a hole in its story) hides it from all series alike.
Only what is missing inside a series that can be seen (too few requests, nobody asks) is its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from msgspec.structs import replace

from watchtower.vocabulary.quantities import seconds
from watchtower.vocabulary.readings import Reading
from watchtower.vocabulary.reasons import Reason, ReasonKind
from watchtower.vocabulary.signals import MOST_LABELLED, Signal
from watchtower.windows.continuity import Continuity
from watchtower.windows.estimates import Estimate, mean, quantile, share
from watchtower.windows.intake import Intake
from watchtower.windows.observations import Observations
from watchtower.windows.series import Sample, Series
from watchtower.windows.straggler import percent
from watchtower.windows.window_settings import WindowSettings

ITL: Final = "inter_token_latency_seconds"
TTFT: Final = "time_to_first_token_seconds"
QUANTILES: Final = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}
COUNTED: Final = (
    *("exchanges.open", "exchanges.arrival_rate", "exchanges.prompt_rate", "exchanges.error_ratio"),
    "token_progress.rate",
)
LAGGED_SHARE: Final = 0.2
"""Latencies that the relay read late are left out; beyond one such second and this share of them,
nothing is left to trust."""
MOST_UNPROVEN: Final = 0.05
"""Share of the observations that may be upper bounds only; beyond, the reading is one."""
NO_COUNTS: Final = "the engine gives no counts: `stream_options.include_usage` would help"
RELAY: Final = "relay"
NO_EXCHANGE: Final = Reason(ReasonKind.IDLE, "idle: no exchange", RELAY)
NONE_ENDED: Final = Reason(ReasonKind.IDLE, "idle: no exchange ended", RELAY)
NOT_KEPT: Final = f"no rule names this tag and variant among the first {MOST_LABELLED}"

Read = Callable[[float, float], Reading]
"""(over, now) → a reading."""


class TrafficReadings:
    """Reads what ``Intake`` filed. ``changed()`` after every fact: until then, what is looked up is kept."""

    def __init__(self, settings: WindowSettings, intake: Intake, continuity: Continuity) -> None:
        self._settings = settings
        self._intake = intake
        self._continuity = continuity
        self._moment: Moment | None = None

    def changed(self) -> None:
        self._moment = None

    def reader(self, signal: Signal) -> Read:
        """Of a name in COUNTED, or of a latency. A series that is not kept reads UNKNOWN."""
        where = self._intake.labelled.of_signal(signal) if signal.labelled else self._intake.all
        if where is None or signal.misfit():
            reason = Reason(ReasonKind.NOT_CONFIGURED, signal.misfit() or NOT_KEPT, RELAY)
            return lambda over, now: unknown(signal.name, over, now, reason)
        family, _, stat = signal.name.partition(".")
        if family in (ITL, TTFT):
            series = where.inter_token if family == ITL else where.first_token
            return partial(self._latency, where, series, signal.name, stat)
        return partial(self._counted, where, signal.name)

    # ── one method a family ─────────────────────────────────────────────────────────────────────

    def _latency(self, where: Observations, series: Series, name: str, stat: str, over: float, now: float) -> Reading:
        dark = self.unseen(over, now)
        if dark is not None:
            return unknown(name, over, now, dark)
        traffic = self._intake.all.counts(over, now)
        if traffic.lagged > max(1.0, LAGGED_SHARE * traffic.seconds):
            lag, most = traffic.worst_lag * 1000, self._settings.relay_lag_seconds * 1000
            late = f"the relay's own loop was over {most:g} ms late in {traffic.lagged} of {traffic.seconds} s"
            return unknown(name, over, now, Reason(ReasonKind.STALE, f"{late}, at worst {lag:.0f} ms", RELAY))
        sample = series.window(now - over, now)
        if stat == "max":
            return self._longest(where, sample, name, over, now)
        waits = self._waits(where, sample, now) if series is where.first_token else ()
        missing = self._missing(where, series, sample, len(waits), over, now)
        if missing is not None:
            return unknown(name, over, now, missing, sample.exchanges)
        found = mean(sample, waits) if stat == "mean" else quantile(sample, QUANTILES[stat], waits)
        if found is None:
            too_few = few("too few sub-windows for a confidence band")
            return unknown(name, over, now, too_few, sample.exchanges)
        if not sample.count:
            least = unknown(name, over, now, self._tokenless(where, over, now), len(waits))
            return replace(least, low=found.low, detail=f"at least {seconds(found.low)}")
        if sample.unproven > MOST_UNPROVEN:
            bound = unknown(name, over, now, few(NO_COUNTS), sample.exchanges)
            detail = f"at most {seconds(found.high)}"
            return replace(bound, high=found.high, estimated=sample.estimated, detail=detail)
        remark, samples = _remark(sample, len(waits)), sample.exchanges + len(waits)
        return _known(name, over, now, found, samples, remark=remark, estimated=sample.estimated)

    def _waits(self, where: Observations, sample: Sample, now: float) -> tuple[float, ...]:
        """How long those have waited for their first token who have waited longer than an answered one usually did:
        nobody knows yet how long it will be, but it is more than that, and they are not to be seen last."""
        roster = self._intake.roster
        if not self.moment(now).waiting:
            return ()
        usual = quantile(sample, 0.5)
        among = None if where is self._intake.all else roster.observed_in(where)
        return roster.waits(now, 0.0 if usual is None else usual.value, among)

    def _missing(
        self, where: Observations, series: Series, sample: Sample, waiting: int, over: float, now: float
    ) -> Reason | None:
        """What keeps a sample from being enough; None when nothing does. ``waiting``: requests that count beside it."""
        knobs = self._settings
        count, requests = sample.count, sample.exchanges + waiting
        if not count and sample.left_out:
            return Reason(ReasonKind.STALE, _left_out(sample), RELAY)
        if requests < knobs.minimum_requests:
            too_few = f"too few requests: {requests} of {knobs.minimum_requests}"
            return few(too_few) if count else self._tokenless(where, over, now)
        if series is where.inter_token and count < knobs.minimum_tokens:
            return few(f"too few tokens: {count} of {knobs.minimum_tokens}")
        if sample.clusters + waiting < knobs.minimum_clusters:
            clusters = f"{sample.clusters} of {knobs.minimum_clusters}"
            return few(f"too few sub-windows with data for a confidence band: {clusters}")
        return None

    def _tokenless(self, where: Observations, over: float, now: float) -> Reason:
        """Why nothing was timed: it is not idle while answers pass, whether or not they can be read."""
        waiting, traffic = self._open(where), where.counts(over, now)
        if waiting:
            return few(f"{waiting} exchanges are open and none gave a token")
        if traffic.unobserved:
            text = f"{traffic.unobserved} answers passed in a form that is not read"
            return Reason(ReasonKind.UNOBSERVED, text, RELAY)
        if traffic.ended:
            return few(f"{traffic.ended} exchanges ended without a token to time")
        return self.quiet(over, now, NO_EXCHANGE)

    def quiet(self, over: float, now: float, idle: Reason) -> Reason:
        """``idle``, unless requests passed that nobody reads."""
        return self._intake.unread.counts(over, now).reason(self._intake.all.counts(over, now).opened) or idle

    def _longest(self, where: Observations, sample: Sample, name: str, over: float, now: float) -> Reading:
        moment = self.moment(now)
        open_gap = moment.open_gap
        if where is not self._intake.all:
            roster = self._intake.roster
            open_gap = roster.longest_open_gap(now, moment.clean, roster.observed_in(where))
        longest = max(sample.longest_gap, open_gap)
        if longest <= 0:
            missing = self._missing(where, where.inter_token, sample, 0, over, now)
            return unknown(name, over, now, missing or few("no gap seen"))
        return Reading(name=name, over=over, at=now, value=longest, samples=max(1, sample.exchanges))

    def _counted(self, where: Observations, name: str, over: float, now: float) -> Reading:
        dark = self.unseen(over, now)
        if dark is not None:
            return unknown(name, over, now, dark)
        traffic = where.counts(over, now)
        if name == "exchanges.open":
            value = traffic.mean_open()
            if value is None:
                return unknown(name, over, now, few("no two frames of a relay worker lie in the window"))
            return Reading(name=name, over=over, at=now, value=value, samples=round(over))
        if name == "exchanges.error_ratio":
            return self._failed(where, name, over, now)
        if not traffic.heard and not self._open(where):
            return unknown(name, over, now, self.quiet(over, now, NO_EXCHANGE))
        length = now - where.traffic.begin(now - over)
        if name == "exchanges.arrival_rate":
            return Reading(name=name, over=over, at=now, value=traffic.opened / length, samples=traffic.opened)
        if name == "exchanges.prompt_rate":
            if traffic.unsized:
                unsized = few(f"{traffic.unsized} of {traffic.opened} requests told no length")
                return unknown(name, over, now, unsized, traffic.opened)
            most = max(traffic.asked_bytes, traffic.answered_bytes)
            return Reading(name=name, over=over, at=now, value=most / length, samples=traffic.opened)
        return Reading(name=name, over=over, at=now, value=traffic.tokens / length, samples=max(1, traffic.heard))

    def _failed(self, where: Observations, name: str, over: float, now: float) -> Reading:
        """The share that failed, of the answers that are read or of those that are not, whichever is surely worse:
        together, the many of one kind would hide the few of the other."""
        traffic = where.counts(over, now)
        ratio = share(traffic.failed, traffic.ended)
        if where is self._intake.all:
            unread = self._intake.unread.counts(over, now)
            other = share(unread.failed, unread.ended)
            if other is not None and unread.failed and (ratio is None or other.low > ratio.low):
                found = _known(name, over, now, other, unread.ended)
                return replace(found, detail=f"unread answers of {', '.join(sorted(unread.failing))}")
        if ratio is None:
            waiting = self._open(where)
            none_ended = few(f"{waiting} exchanges are open and none has ended") if waiting else NONE_ENDED
            return unknown(name, over, now, none_ended if waiting else self.quiet(over, now, none_ended))
        return _known(name, over, now, ratio, traffic.ended)

    def _open(self, where: Observations) -> int:
        roster = self._intake.roster
        return len(roster) if where is self._intake.all else len(roster.observed_in(where))

    # ── what all of them ask ────────────────────────────────────────────────────────────────────

    def unseen(self, over: float, now: float) -> Reason | None:
        """Why a window of the traffic cannot be read; None when it can."""
        moment = self.moment(now)
        if moment.dark is not None or now - over >= moment.clean:
            return moment.dark
        text = f"{moment.hole.text} {now - moment.clean:.1f} s ago, inside the window of {over:g} s"
        return Reason(moment.hole.kind, text, moment.hole.part)

    def moment(self, now: float) -> Moment:
        if self._moment is None or self._moment.at != now:
            dark = self._intake.relays.unheard(now) or self._continuity.warming(now)
            clean, hole = self.clean_since()
            roster = self._intake.roster
            self._moment = Moment(
                now, dark, clean, hole, roster.owed_since(), roster.waiting_for_first_token(),
                roster.longest_open_gap(now, clean),
            )  # fmt: skip
        return self._moment

    def clean_since(self) -> tuple[float, Reason]:
        """Since when the story has no hole, and what the last hole was."""
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
    """Since when the engine owes a token to the one that it has owed it longest; None: it owes none."""
    waiting: int
    """Open exchanges without a token."""
    open_gap: float
    """Longest time since the last token of one of them, seconds."""


def few(text: str) -> Reason:
    return Reason(ReasonKind.TOO_FEW, text, RELAY)


def unknown(name: str, over: float, now: float, reason: Reason, samples: int = 0) -> Reading:
    return Reading(name=name, over=over, at=now, value=None, reason=reason, samples=samples)


def _left_out(sample: Sample) -> str:
    """What a reading over ``sample`` does not know of; "" when it knows everything."""
    if not sample.left_out:
        return ""
    return f"{sample.left_out} of {sample.count + sample.left_out} left out, the relay itself was late"


def _remark(sample: Sample, waiting: int) -> str:
    """What to know of a value beside its band; "" when there is nothing."""
    if not (waiting or sample.left_out or sample.estimated):
        return ""
    estimated = f"{percent(sample.estimated)} of the tokens are estimated" if sample.estimated else ""
    still = f"{waiting} still wait for their first token" if waiting else ""
    return "; ".join(part for part in (_left_out(sample), estimated, still) if part)


def _known(
    name: str, over: float, now: float, found: Estimate, samples: int, remark: str = "", estimated: float = 0.0
) -> Reading:
    return Reading(
        name=name, over=over, at=now, value=found.value, low=found.low, high=found.high, samples=samples,
        remark=remark, estimated=estimated,
    )  # fmt: skip
