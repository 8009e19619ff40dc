"""Facts in, readings out: the only face of this room.

A reading is a number over a window or UNKNOWN with the reason, never a guess: a relay that cannot be seen, a window
that reaches back over a restart or a hole, an idle engine, too few requests. It has no verdict; rules have.

What ``over`` means: for latencies, rates and shares the window itself (its sub-windows lie wholly inside it, so
nothing older than ``over`` is read, and up to one second less; at least 1 s); for ``token_progress.stalled``,
``engine.absent``, canaries and scrapes, how old the evidence may be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from msgspec.structs import replace

from watchtower.vocabulary.endings import CountsAs
from watchtower.vocabulary.facts import (
    AnyFact,
    CanaryEnded,
    CanaryStarted,
    EngineScrape,
    EngineSeen,
    GpuReport,
    LoopLagged,
    ReferenceAnswered,
    RelayFrame,
    RelayGone,
    RelayHello,
)
from watchtower.vocabulary.readings import READINGS, Reading
from watchtower.vocabulary.reasons import Reason, ReasonKind
from watchtower.vocabulary.signals import Signal
from watchtower.windows.continuity import Continuity
from watchtower.windows.families import SignalFamily, families
from watchtower.windows.gpu_windows import FAMILIES, GpuWindows
from watchtower.windows.intake import Intake
from watchtower.windows.presence import Presence
from watchtower.windows.probes import CanaryHistory, Probed, Scrapes
from watchtower.windows.straggler import percent
from watchtower.windows.totals import TotalsByModel
from watchtower.windows.traffic_readings import COUNTED, ITL, RELAY, TTFT, Read, TrafficReadings, few, unknown
from watchtower.windows.window_settings import WindowSettings
from watchtower.windows.workload import Workload

FLOWING_SECONDS: Final = 1.0
"""Tokens this recent are progress: frames may come only once a second."""
TOKENLESS_SECONDS: Final = 2.0
TOKENLESS_RATIO: Final = 0.1
"""No token for longer than this, and than this share of the window: GPUs are not compared."""
STAMP_TOLERANCE_SECONDS: Final = 60.0
"""A frame or GPU report stamped further than this ahead of the last reading's now is not believed."""
NOTHING_OWED: Final = Reason(ReasonKind.IDLE, "idle: no exchange is open, so no token is owed", RELAY)

CLIENTS_TURN: Final = Reason(ReasonKind.IDLE, "no token is owed: clients are to send or to read", RELAY)


class Windows:
    """Absorbs facts in the order they arrive; reads any name of ``vocabulary.readings.READINGS``. Pure: no clock."""

    def __init__(self, settings: WindowSettings | None = None, more: Iterable[SignalFamily] = ()) -> None:
        """``more``: families of signals beside those of the list."""
        self.settings = settings or WindowSettings()
        self._continuity = Continuity(self.settings.warmup_requests, self.settings.warmup_seconds)
        self._intake = Intake(self.settings, self._continuity)
        self._canaries = CanaryHistory()
        self._scrapes = Scrapes()
        self._presence = Presence()
        self._families = (*families(self.settings), *more)
        self._workload = Workload(self.settings.longest_window_seconds)
        self.gpus = GpuWindows(self.settings)
        self._read_at = -math.inf
        self._traffic = TrafficReadings(self.settings, self._intake, self._continuity)
        self._readers: dict[Signal | str, Read] = {}
        for name in READINGS:
            self._readers[name] = self._readers[Signal(name)] = self._reader(name)
        self._readers |= {signal: self._labelled(signal) for signal in self.settings.signals if signal.labelled}
        self.refused = 0
        """Facts whose time stamp is no time, or lies in the future."""

    # ── in ──────────────────────────────────────────────────────────────────────────────────────

    def absorb(self, fact: AnyFact) -> None:
        """Take in one fact. Never raises for what a fact says; what cannot be believed is counted."""
        self._traffic.changed()
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
                self._intake.relays.connected(fact.pid)
            case RelayGone():
                self._intake.relays.gone(fact)
                self._intake.roster.forget_worker(fact.pid)
            case EngineScrape():
                self._scrapes.scraped(fact)
                self._intake.scraped(fact)
            case CanaryStarted():
                self._canaries.started(fact)
            case CanaryEnded():
                self._canaries.ended(fact)
            case ReferenceAnswered():
                self._intake.passed_unread()
            case EngineSeen():
                self._presence.seen(fact)
                if self._continuity.engine_seen(fact):
                    self._intake.new_incarnation()
                    self._canaries.reset(fact.at)
                    for family in self._families:
                        family.reset(fact.at)
            case GpuReport():
                if self._read_at > -math.inf and fact.at > self._read_at + STAMP_TOLERANCE_SECONDS:
                    self.refused += 1
                else:
                    self.gpus.absorb(fact)
            case LoopLagged():
                self._read_at = max(self._read_at, fact.at)
                self._continuity.loop_lagged(fact.at)
                self._intake.relays.stood_still(fact)
                self._canaries.reset(self._continuity.mark)
                self._presence.reset(fact.at)
            case _:
                pass
        if not isinstance(fact, RelayFrame):
            for family in self._families:
                family.absorb(fact)

    # ── out ─────────────────────────────────────────────────────────────────────────────────────

    def read(self, signal: Signal | str, over: float, now: float) -> Reading:
        """The reading of ``signal`` over the ``over`` seconds that end at ``now`` (CLOCK_BOOTTIME). A bare name is the
        signal of all traffic. A tag or variant that the settings do not name reads UNKNOWN.

        Raises KeyError for a name that is not in READINGS: rules are checked before they are evaluated.
        """
        reader = self._readers.get(signal)
        if reader is None:
            reader = self._unnamed(signal)
        if now > self._read_at:
            self._read_at = now
        return reader(over if over > 1.0 else 1.0, now)

    def _reader(self, name: str) -> Read:
        """(over, now) → the reading of this name."""
        family, _, stat = name.partition(".")
        if family in FAMILIES:
            return lambda over, now: self.gpus.read(name, over, now, lambda: self._not_at_work(over, now))
        if family in (ITL, TTFT) or name in COUNTED:
            return self._traffic.reader(Signal(name))
        if family == "canary":
            probe: Callable[[float, float], Probed] = getattr(self._canaries, stat)
            return lambda over, now: _probed(name, over, now, probe(over, now))
        if family.startswith("engine_"):
            scrape = partial(self._scrapes.read, family.removeprefix("engine_"))
            return lambda over, now: _probed(name, over, now, scrape(over, now, self._continuity.changed_at))
        for own in self._families:
            if family in own.names:
                return partial(own.read, name)
        several = {"engine.absent": self._absent, "token_progress.stalled": self._stalled}
        return partial(several[name], name)

    def _labelled(self, signal: Signal) -> Read:
        """(over, now) → the reading of one tag and variant, which says whose it is."""
        if signal.name not in READINGS:
            raise KeyError(f"no reading is called {signal.name!r}")
        read = self._traffic.reader(signal)
        return lambda over, now: replace(read(over, now), tag=signal.tag, variant=signal.variant)

    def _unnamed(self, signal: Signal | str) -> Read:
        if isinstance(signal, str):
            raise KeyError(f"no reading is called {signal!r}")
        return self._labelled(signal)

    @property
    def clean_since(self) -> float:
        """CLOCK_BOOTTIME from which readings are clean: no reading uses anything older. -inf before the first fact.

        While an engine warms up it stands at its restart, and moves on to the end of the warm-up when that ends.
        """
        return self._traffic.clean_since()[0]

    def totals_for_export(self, name: str) -> TotalsByModel:
        """Cumulative counts since start of ``inter_token_latency_seconds`` or ``time_to_first_token_seconds``."""
        return {ITL: self._intake.inter_token_totals, TTFT: self._intake.first_token_totals}[name]

    @property
    def ignored(self) -> int:
        """News of exchanges whose opening was not seen, and frames seen before."""
        return self._intake.ignored

    @property
    def ended(self) -> dict[CountsAs, int]:
        """Exchanges that ended since our start, by what their ending counts as."""
        return self._intake.ended

    @property
    def left_out(self) -> int:
        """Latencies that the totals for export have and no reading: the relay itself was late."""
        return self._intake.all.inter_token.left_out + self._intake.all.first_token.left_out

    @property
    def other_exchanges(self) -> int:
        """Exchanges whose tag and variant no rule names, where rules name any: they are read as tag ``other``."""
        return self._intake.others

    @property
    def open_exchanges(self) -> int:
        """Generation exchanges open at the engine of today, by the newest frames."""
        return len(self._intake.roster)

    # ── what needs more than one part ───────────────────────────────────────────────────────────

    def _absent(self, name: str, over: float, now: float) -> Reading:
        """Its end is the last look, not ``now``: nothing was proven since. A warm-up does not mask it."""
        probed = self._presence.absent(over, now)
        end = now if probed.value is None else self._presence.looked_at
        return _probed(name, over, end, probed)

    def _stalled(self, name: str, over: float, now: float) -> Reading:
        roster, moment = self._intake.roster, self._traffic.moment(now)
        dark = self._intake.relays.unheard(now) or self._presence.gone or self._continuity.warming(now)
        if dark is None and moment.oldest is None and len(roster):
            return unknown(name, over, now, CLIENTS_TURN)
        if dark is not None or moment.oldest is None:
            return unknown(name, over, now, dark or self._traffic.quiet(over, now, NOTHING_OWED))
        since = max(moment.oldest, roster.progress_at)
        if since < moment.clean and now - moment.clean < over:
            since_then = f"{moment.hole.text} {now - moment.clean:.1f} s ago and no token was seen since"
            return unknown(name, over, now, Reason(moment.hole.kind, since_then, moment.hole.part))
        seconds = now - max(since, moment.clean)
        waiting = moment.waiting
        remark = f"{waiting} of {len(roster)} open exchanges still wait for their first token" if waiting else ""
        value = 0.0 if seconds < FLOWING_SECONDS else seconds
        detail = self.gpus.hang_signature(value, now)
        return Reading(name=name, over=over, at=now, value=value, samples=len(roster), remark=remark, detail=detail)

    def _not_at_work(self, over: float, now: float) -> Reason | None:
        """Why the GPUs of this window must not be compared; None when they may."""
        dark = self._traffic.unseen(over, now)
        if dark is not None:
            return dark
        worked, needed = self._workload.ratio(over, now), self.settings.gpu_work_ratio
        if worked < needed:
            text = f"exchanges were open in {percent(worked)} of the window's seconds, {percent(needed)} are needed"
            return Reason(ReasonKind.IDLE, f"idle: {text}", RELAY)
        waited = now - self._intake.roster.progress_at
        if waited > max(TOKENLESS_SECONDS, TOKENLESS_RATIO * over):
            return few("no token comes: that is no imbalance, see token_progress.stalled")
        return None


def _probed(name: str, over: float, now: float, probed: Probed) -> Reading:
    return Reading(
        name=name, over=over, at=now, value=probed.value, reason=probed.reason, remark=probed.remark,
        samples=probed.samples,
    )  # fmt: skip
