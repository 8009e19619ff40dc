from __future__ import annotations

from structlog.testing import capture_logs

from tests.storage.samples import a_notice
from watchtower.sinks.log import LogSink, LogSinkSettings
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.incidents import NoticeKind


async def test_a_notice_is_one_line_with_the_command_to_look_closer() -> None:
    with capture_logs() as lines:
        result = await LogSink(LogSinkSettings(kind="log"), HandClock()).send(a_notice(), 1)
    assert result.delivered
    (line,) = lines
    assert line["event"].startswith("ALERT · engine: opened: slow tokens")
    assert (line["log_level"], line["incident"], line["next"]) == ("warning", "inc-1", "watchtower explain inc-1")


async def test_an_escalation_is_an_error() -> None:
    with capture_logs() as lines:
        await LogSink(LogSinkSettings(kind="log"), HandClock()).send(a_notice(kind=NoticeKind.ESCALATED), 1)
    assert lines[0]["log_level"] == "error"
