"""Two incidents as the machine itself tells them: one cured, one that needs a person; and what sinks posted of them.

The notices come from ``decide`` on the stage of its own tests, the payloads from the real sinks over real sockets.
"""

from __future__ import annotations

import json
from email import message_from_string, policy
from email.message import EmailMessage
from typing import Any, NamedTuple

from tests.remediation.stage import Rule, Stage, limits
from tests.sinks.mailserver import mail_server
from tests.sinks.receiver import receiving
from tests.sinks.samples import sink_settings
from tests.sinks.test_receivers import YES, settings
from watchtower import catalogue
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.incidents import IncidentState, Notice

SENTENCE = "p95 per-token latency 254 ms over 130 ms"
CONSOLE = "https://watch.example"
HTTP = ("slack", "teams", "pagerduty", "opsgenie")


class Posted(NamedTuple):
    """One HTTP request of a sink."""

    line: str
    body: dict[str, Any]


def stage(**more: Any) -> Stage:
    patient = limits(stabilization_seconds=60, soak_seconds=300, **more.pop("limits", {}))
    made = Stage(patient, rules=[Rule(sentence=SENTENCE)], **more)
    made.clock = HandClock(wall=1_790_132_400.0)
    made.state = type(made.state)(target="chat-7b")
    return made


def cured() -> list[Notice]:
    """Opened, acting, cured, watched, resolved."""
    made = stage().acting()
    made.until(IncidentState.RESOLVED, within=1000)
    return made.notices


def escalated() -> list[Notice]:
    """Nothing that it may do helps."""
    made = stage(limits={"attempts_per_rung": 1, "attempts_per_incident": 2}, cures=False).acting()
    made.until(IncidentState.ESCALATED, within=1000)
    return made.notices


async def posted(kind: str, notices: list[Notice]) -> list[list[Posted]]:
    """What the sink ``kind`` sent of each notice, in order. A request that its receiver refused is a defect."""
    found = []
    async with receiving(YES[kind]) as receiver:
        sink = catalogue.load("sinks", kind)(settings(kind, f"http://127.0.0.1:{receiver.port}"), HandClock(), CONSOLE)
        for notice in notices:
            before = len(receiver.requests)
            assert (await sink.send(notice, 1)).delivered
            found.append([Posted(request.line, json.loads(request.body)) for request in receiver.requests[before:]])
        await sink.close()
    return found


async def mailed(notices: list[Notice]) -> list[EmailMessage]:
    """What arrived at a mail server."""
    async with mail_server() as server:
        mine = {"host": "127.0.0.1", "port": server.port, "tls": "none", "sender": "watchtower@example.org"}
        sink = catalogue.load("sinks", "smtp")(
            sink_settings("smtp", recipients=("oncall@example.org",), **mine), HandClock(), CONSOLE
        )
        for notice in notices:
            assert (await sink.send(notice, 1)).delivered
        await sink.close()
    bodies = [mail.removesuffix(".\r\n") for mail in server.mails]  # the line that ends it belongs to SMTP
    return [message_from_string(mail, _class=EmailMessage, policy=policy.default) for mail in bodies]
