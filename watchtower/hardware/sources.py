"""The sources that the settings name, as one stream of reports.

``auto`` means NVML, and the dcgm-exporter where NVML finds no driver; each report says which of them spoke.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx

from watchtower.hardware.gpu_child import GpuChild
from watchtower.hardware.gpu_plan import GpuPlan
from watchtower.hardware.interpretation.dcgm import DcgmReader, trouble
from watchtower.http_clients import CLOSE, NO_KEEP_ALIVE
from watchtower.ports import Clock
from watchtower.settings import HardwareSettings
from watchtower.vocabulary.facts import GpuReport
from watchtower.vocabulary.gpus import Trouble

LEAST_SCRAPE_SECONDS = 5.0
SCRAPE_TIMEOUT_SECONDS = 4.0
MOST_PAGE_BYTES = 16 * 1024 * 1024
OnFact = Callable[[GpuReport], None]


class Hardware:
    """What the daemon starts: ``await run()``, one report after the other to ``on_fact``."""

    def __init__(
        self,
        settings: HardwareSettings,
        clock: Clock,
        on_fact: OnFact,
        *,
        child: Callable[[GpuPlan, Clock, OnFact], GpuChild] = GpuChild,
    ) -> None:
        self._on_fact = on_fact
        self._fallback = settings.source == "auto" and bool(settings.dcgm_url)
        self._nvml_absent = False
        wanted = settings.wanted()
        plan = GpuPlan(uuids=wanted, poll_seconds=settings.poll_seconds)
        self.child = child(plan, clock, self._from_nvml) if settings.source in ("auto", "nvml") else None
        self.exporter: DcgmExporter | None = None
        if settings.source == "dcgm" or self._fallback:
            seconds = max(settings.poll_seconds, LEAST_SCRAPE_SECONDS)
            self.exporter = DcgmExporter(settings.dcgm_url, wanted, seconds, clock, self._from_dcgm)

    async def run(self) -> None:
        """Until closed or cancelled."""
        async with asyncio.TaskGroup() as sources:
            if self.child is not None:
                sources.create_task(self.child.run(), name="gpu child")
            if self.exporter is not None:
                sources.create_task(self.exporter.run(), name="dcgm-exporter")

    async def release(self, seconds: float = 900.0) -> bool:
        """Let go of every GPU, so that one can be reset; whether nothing of ours holds one any more."""
        return True if self.child is None else await self.child.release(seconds)

    def acquire(self) -> None:
        if self.child is not None:
            self.child.acquire()

    async def close(self) -> None:
        if self.exporter is not None:
            self.exporter.close()
        if self.child is not None:
            await self.child.close()

    def _from_nvml(self, report: GpuReport) -> None:
        self._nvml_absent = report.trouble is Trouble.DRIVER_ABSENT
        if not (self._nvml_absent and self._fallback):
            self._on_fact(report)

    def _from_dcgm(self, report: GpuReport) -> None:
        if self._nvml_absent or not self._fallback:
            self._on_fact(report)


class DcgmExporter:
    """Scrapes one dcgm-exporter."""

    def __init__(self, url: str, uuids: tuple[str, ...], seconds: float, clock: Clock, on_fact: OnFact) -> None:
        self._url = url
        self._seconds = seconds
        self._clock = clock
        self._on_fact = on_fact
        self._reader = DcgmReader(uuids)
        self._closed = asyncio.Event()

    async def run(self) -> None:
        async with httpx.AsyncClient(
            trust_env=False, timeout=SCRAPE_TIMEOUT_SECONDS, limits=NO_KEEP_ALIVE, headers=CLOSE
        ) as http:
            while not self._closed.is_set():
                self._on_fact(await self.scrape(http))
                try:
                    async with asyncio.timeout(self._seconds):
                        await self._closed.wait()
                except TimeoutError:
                    pass

    async def scrape(self, http: httpx.AsyncClient) -> GpuReport:
        """One look; a page that cannot be had is a report as well."""
        try:
            async with asyncio.timeout(2 * SCRAPE_TIMEOUT_SECONDS), http.stream("GET", self._url) as answer:
                if answer.status_code != httpx.codes.OK:
                    return self._trouble(f"the dcgm-exporter answers with status {answer.status_code}")
                page = b""
                async for chunk in answer.aiter_bytes():
                    page += chunk
                    if len(page) > MOST_PAGE_BYTES:
                        return self._trouble("the dcgm-exporter's page is too long")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as problem:
            return self._trouble(f"the dcgm-exporter cannot be reached ({type(problem).__name__})")
        now = self._clock.now()
        return self._reader.read(page.decode("utf-8", "replace"), now.boot, now.wall)

    def close(self) -> None:
        self._closed.set()

    def _trouble(self, because: str) -> GpuReport:
        return trouble(self._clock.now().boot, Trouble.FAULT, because)
