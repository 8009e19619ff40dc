"""What the audience sees: told lines, and on a terminal a panel below them that keeps moving.

Without a terminal there are plain lines, and a line every few seconds that says the demo is alive.
"""

from __future__ import annotations

from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from watchtower.lab.demonstration.narration import Look, ScreenLine
from watchtower.lab.demonstration.report import TOLD_ONLY, FaultReport
from watchtower.lab.simulator.chats import ChatTraffic
from watchtower.ports import Clock

_COLOURS = {
    "sees": "yellow",
    "decides": "magenta",
    "does": "cyan",
    "verifies": "green",
    "tells": "blue",
    "demo": "bold",
}
_VERDICTS = {"ok": "[green]ok[/]", "breach": "[red]BREACH[/]", "unknown": "[dim]unknown[/]"}
_ALIVE_SECONDS = 5.0
_PLAIN_WIDTH = 132


class Screen:
    """A context manager. With ``to_stderr`` (for ``--json``) standard output stays clean."""

    def __init__(self, clock: Clock, *, to_stderr: bool) -> None:
        self.console = Console(stderr=to_stderr, highlight=False, soft_wrap=True)
        if not self.console.is_terminal:
            self.console.width = _PLAIN_WIDTH
        self._clock = clock
        self._began = clock.now().boot
        self._last = self._began
        self._live = (
            Live(console=self.console, refresh_per_second=4, transient=True) if self.console.is_terminal else None
        )

    def __enter__(self) -> Screen:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, what: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def tell(self, *lines: ScreenLine) -> None:
        self._last = self._clock.now().boot if lines else self._last
        for line in lines:
            colour = _COLOURS[line.who]
            self.console.print(
                f"[dim]{self._last - self._began:6.1f} s[/]  [{colour}]{line.who:<8}[/]  {escape(line.text)}"
            )

    def show(self, look: Look, traffic: ChatTraffic) -> None:
        """The present, after every look."""
        if self._live:
            self._live.update(_panel(look, traffic))
        elif self._clock.now().boot - self._last > _ALIVE_SECONDS:
            self.tell(ScreenLine("demo", _present(look, traffic)))

    def table(self, reports: list[FaultReport]) -> None:
        """The end of the play: the panel goes, the table stays."""
        if self._live:
            self._live.stop()
        table = Table(
            "fault", "detected after", "cured after", "verified by", "requests", "failed", title="Watchtower demo"
        )
        for report in reports:
            table.add_row(
                report.fault,
                _seconds(report.detected_s),
                _cured(report),
                escape("\n".join(report.verified_by)) or "-",
                str(report.requests),
                str(report.failed_requests),
            )
        self.console.print(table, soft_wrap=False)


def _cured(report: FaultReport) -> str:
    if report.fault in TOLD_ONLY:
        return "told only"
    return _seconds(report.cured_s) if report.cured_s is not None or not report.would_act else "would act"


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"


def _present(look: Look, traffic: ChatTraffic) -> str:
    if not look.status["engine"]["serving"]:
        return f"the engine does not serve yet; {traffic.open} requests open"
    counts = traffic.counts(traffic.phase)
    failed = f", {counts.failed_requests} failed" if counts.failed_requests else ""
    return f"traffic ({traffic.phase}): {counts.requests} requests answered{failed}, {traffic.open} open"


def _panel(look: Look, traffic: ChatTraffic) -> Panel:
    rules = Table(box=None, pad_edge=False, show_header=False)
    for rule in look.status["rules"]:
        rules.add_row(rule["rule"], _VERDICTS[rule["verdict"]], escape(rule["sentence"]))
    incident = look.status["incident"]
    state = f"{incident['state'].upper()} · {incident['title']}" if incident else "no incident"
    relay = look.status["relay"]
    below = f"{_present(look, traffic)} · relay {relay['hold']}, {relay['parked']} parked"
    return Panel(
        Group(rules, "", f"[bold]{escape(state)}[/]", f"[dim]{escape(below)}[/]"), title="what Watchtower sees"
    )
