"""The payloads that docs/alerts.md shows, made by the sinks themselves.

python -m tests.sinks.page      writes them into it
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.sinks.samples import ESCALATED, sink_settings
from watchtower.sinks import opsgenie, pagerduty, slack, teams
from watchtower.sinks.alertmanager import Standing
from watchtower.sinks.event import event_body
from watchtower.sinks.message import message_of, plain
from watchtower.sinks.smtp import mail_of

CONSOLE = "https://watch.example"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "alerts.md"


def payloads() -> dict[str, str]:
    """Heading of the page → what is sent for one escalation."""
    message = message_of(ESCALATED, CONSOLE)
    mail = mail_of(
        message,
        sink_settings(
            "smtp", host="mail.example.org", sender="watchtower@example.org", recipients=("oncall@example.org",)
        ),
    )
    _, alerts = Standing({"team": "inference"}).after(message)
    heads = [
        f"{name}: {value}"
        for name, value in mail.items()
        if name in ("Subject", "From", "To", "Message-ID", "References")
    ]
    return {
        "log": plain(message),
        "webhook": _json(json.loads(event_body(ESCALATED, message))),
        "alertmanager": _json([alert.body(message.wall, 300.0) for alert in alerts]),
        "pagerduty": _json({"routing_key": "…", **pagerduty.event(message)}),
        "opsgenie": _json(opsgenie.requests(message, "inference")[0].body),
        "slack": _json(slack.payload(message)),
        "teams": _json(teams.payload(message)),
        "smtp": "\n".join([*heads, "", plain(message)]),
    }


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name, payload in payloads().items():
        block = re.compile(rf"(<!-- payload: {name} -->\n```\w+\n).*?(\n```)", flags=re.S)
        text, found = block.subn(lambda match, payload=payload: match[1] + payload + match[2], text)  # type: ignore[misc]
        assert found == 1, name
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
