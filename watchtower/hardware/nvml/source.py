"""NVML as a source of GPU reports: one look, one report, whatever the driver does.

A look never raises. A driver that is absent is tried again with growing pauses; one that was open and went away, or
was replaced underneath us, needs a new process (``spent``). The one thing a look cannot do is return from a wedged
driver: ``overdue`` tells another thread so.
"""

from __future__ import annotations

from watchtower.hardware.gpu_plan import GpuPlan
from watchtower.hardware.nvml.driver import Driver, UnderWay
from watchtower.hardware.nvml.instruments import Instruments
from watchtower.hardware.nvml.meanings import NvmlError
from watchtower.hardware.nvml.session import Session
from watchtower.hardware.nvml.xid import XidListener
from watchtower.ports import Clock
from watchtower.vocabulary.facts import GpuReport
from watchtower.vocabulary.gpus import GpuSeen, GpuSource, Trouble, Xid
from watchtower.vocabulary.instants import Instant

MOST_BACKOFF = 10
"""The pause between openings doubles up to this many times ``retry_seconds``."""
FELL_OFF_THE_BUS = 79
"""The Xid after which a GPU is not called again: calls into it have crashed monitors."""
CURES = {
    Trouble.DRIVER_ABSENT: "no NVIDIA driver here, or the container lacks the capability 'utility'",
    Trouble.DRIVER_MISMATCH: "the driver was replaced: restart the container (or the machine)",
}


class NvmlSource:
    def __init__(self, plan: GpuPlan, clock: Clock) -> None:
        self._plan = plan
        self._clock = clock
        self._driver = Driver(lambda: clock.now().boot, plan.call_seconds)
        self._session = Session(plan, self._driver)
        self._instruments: list[Instruments] = []
        self._listener: XidListener | None = None
        self._trouble: Trouble | None = None
        self._because = ""
        self._pause = plan.retry_seconds
        self._again_at = 0.0
        self.used_up = False
        """NVML was open and is no more: nothing but a new process can read again."""

    def look(self) -> GpuReport:
        now = self._clock.now()
        seen: list[GpuSeen] = []
        xids: list[Xid] = []
        if not self.used_up and (self._session.opened or now.boot >= self._again_at):
            try:
                self._opened(now)
                xids = self._listen()
                seen = [instruments.read(now) for instruments in self._instruments] + self._session.missing
                silent = not self._session.missing and all(instruments.silent for instruments in self._instruments)
                self._trouble, self._because = _judged(seen, silent)
            except NvmlError as problem:
                self._failed(problem, now)
                seen = []
        return GpuReport(
            at=now.boot, source=GpuSource.NVML, trouble=self._trouble, because=self._because, gpus=seen, xids=xids
        )

    def spent(self) -> bool:
        """Whether it is time for a new process."""
        return self.used_up and self._clock.now().boot >= self._again_at

    def overdue(self) -> UnderWay | None:
        """The call that should have returned long ago. For another thread."""
        under_way = self._driver.under_way
        return under_way if under_way is not None and under_way.overdue(self._clock.now().boot) else None

    def close(self) -> None:
        """Let go of NVML, so that a GPU can be reset. Not called while a look is under way."""
        if not self._session.opened or self.used_up:
            return
        if self._listener is not None and not self._listener.stop():
            return  # a shutdown while a thread is inside NVML crashes; the end of the process lets go as well
        for instruments in self._instruments:
            instruments.close()
        try:
            self._session.close()
        except NvmlError:
            pass  # then the driver holds nothing of ours
        self.used_up = True

    def _opened(self, now: Instant) -> None:
        if not self._session.opened:
            self._session.open()
        elif now.boot < self._again_at or (self._session.gpus and not self._session.missing):
            return
        found = self._session.find()
        self._again_at = now.boot + self._plan.retry_seconds
        if found:
            self._instruments += [Instruments(gpu, self._plan) for gpu in found]
            self._restart_listener()

    def _restart_listener(self) -> None:
        if self._listener is not None and not self._listener.stop():
            return  # it is stuck: the old one stays
        handles = {gpu.uuid: gpu.handle for gpu in self._session.gpus if gpu.seen.trouble is None}
        self._listener = XidListener(handles, self._clock, self._plan.call_seconds)
        self._listener.start()

    def _listen(self) -> list[Xid]:
        if self._listener is None:
            return []
        xids = self._listener.take()
        fallen = {xid.uuid for xid in xids if xid.number == FELL_OFF_THE_BUS}
        stuck = self._listener.driver.under_way
        wedged = stuck is not None and stuck.overdue(self._clock.now().boot)
        for instruments in self._instruments:
            gpu = instruments.gpu
            if gpu.uuid in fallen:
                gpu.gone(Trouble.LOST, f"Xid {FELL_OFF_THE_BUS}: it fell off the bus")
            elif gpu.seen.trouble is None:
                trouble = Trouble.DRIVER_WEDGED if wedged else self._listener.refused.get(gpu.uuid)
                if trouble is None:
                    gpu.can("xids")
                else:
                    gpu.cannot("xids", trouble)
        return xids

    def _failed(self, problem: NvmlError, now: Instant) -> None:
        self._trouble = problem.meaning.trouble
        cure = CURES.get(self._trouble)
        self._because = f"{problem} · {cure}" if cure else str(problem)
        mismatch = self._trouble is Trouble.DRIVER_MISMATCH  # the old library stays mapped in this process
        self.used_up = self._session.opened or mismatch
        self._again_at = now.boot + (self._plan.retry_seconds * MOST_BACKOFF if mismatch else self._pause)
        self._pause = min(self._pause * 2, self._plan.retry_seconds * MOST_BACKOFF)


def _judged(seen: list[GpuSeen], silent: bool) -> tuple[Trouble | None, str]:
    """What is to be said of the source as a whole. ``silent``: every call of every GPU ended in an unknown error."""
    if not seen:
        return Trouble.NOT_VISIBLE, "NVML answers, but shows no GPU (NVIDIA_VISIBLE_DEVICES of this container?)"
    if len(seen) > 1 and silent:
        return Trouble.FAULT, (
            "every GPU answers with an unknown error: this container lost its devices"
            " (systemctl daemon-reload does that); it has to be created again"
        )
    return None, ""


def wedged(under_way: UnderWay, now: float) -> GpuReport:
    """The report of a driver that does not return."""
    return GpuReport(
        at=now, source=GpuSource.NVML, trouble=Trouble.DRIVER_WEDGED, because=under_way.because(now), gpus=[]
    )
