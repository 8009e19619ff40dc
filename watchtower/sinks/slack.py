"""Slack, through an incoming webhook: the first line as text; below it, beside a coloured bar, what it does not say
yet, the commands to copy, and small print.

A webhook can neither edit nor thread, so each notice is a message of its own. Slack says no in the body: only HTTP 200
with exactly ``ok`` is a success. ``&``, ``<`` and ``>`` are escaped, so that nothing inside a message can ping anybody.

Source: Slack, "Sending messages using incoming webhooks"; limit: 3,000 characters a section.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import SecretStr

from watchtower.knobs import SinkName
from watchtower.ports import Delivery
from watchtower.sinks.delivery import DELIVERED, final, retry
from watchtower.sinks.incoming_webhook import IncomingWebhookSettings, IncomingWebhookSink
from watchtower.sinks.message import Message, Tone, cut
from watchtower.sinks.posting import HttpReply

COLOURS = {Tone.ALARM: "#d92d20", Tone.WARNING: "#f79009", Tone.GOOD: "#12a150", Tone.NEUTRAL: "#667085"}
SMALL = ("Rules", "Mode", "Severity", "Incident")
SECTION_LIMIT = 2900
"""Below Slack's 3,000: escaping may not push a text over it."""
_ABOUT_THE_MESSAGE = frozenset({"invalid_payload", "invalid_blocks", "no_text", "too_many_attachments", "msg_too_long"})
_ABOUT_THE_HOOK = frozenset(
    {
        "invalid_token",
        "no_active_hooks",
        "no_service",
        "no_service_id",
        "no_team",
        "team_disabled",
        "action_prohibited",
        "channel_not_found",
        "channel_is_archived",
        "posting_to_general_channel_denied",
        "rollup_error",
        "user_not_found",
    }
)


class SlackSinkSettings(IncomingWebhookSettings):
    """A Slack incoming webhook."""

    kind: Literal["slack"]
    name: SinkName = "slack"
    url: SecretStr
    """https://hooks.slack.com/services/…: a credential. Better: ``url_file``."""


class SlackSink(IncomingWebhookSink):
    """``ports.Sink``."""

    Settings = SlackSinkSettings
    pages = True

    def payload(self, message: Message) -> dict[str, Any]:
        return payload(message)

    def judge(self, answer: HttpReply) -> Delivery:
        return _judge(answer)


def payload(message: Message) -> dict[str, Any]:
    """The whole message; the same for every attempt."""
    return {
        "text": f"*{escaped(message.headline)}*",
        "attachments": [
            {"color": COLOURS[message.tone], "fallback": escaped(message.headline), "blocks": blocks(message)}
        ],
    }


def blocks(message: Message) -> list[dict[str, Any]]:
    """Block Kit: what matters in full width, the commands, and the rest as small print."""
    small = [f"{name.lower()} {value}" for name, value in message.untold if name in SMALL]
    lines = [f"*{name}*  {escaped(value)}" for name, value in message.untold if name not in SMALL]
    body = escaped(message.own_text) or "\n".join(lines)
    below = [] if message.own_text else [escaped(cut(" · ".join(small), SECTION_LIMIT // 2))]
    below += [f"<{escaped(message.link)}|Console>"] if message.link else []
    commands = "\n".join(command for _, command in message.commands)
    return [
        _section(body),
        _section(f"```{escaped(commands)}```"),
        *([{"type": "context", "elements": [_mrkdwn(" · ".join(below), SECTION_LIMIT)]}] if below else []),
    ]


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _mrkdwn(text, SECTION_LIMIT)}


def _mrkdwn(text: str, most: int) -> dict[str, str]:
    return {"type": "mrkdwn", "text": cut(text, most)}


def _judge(answer: HttpReply) -> Delivery:
    said = answer.text.strip()
    if said == "ok":
        return DELIVERED
    if said in _ABOUT_THE_MESSAGE:
        return final(f"HTTP {answer.status} with {said}")
    what = said if said in _ABOUT_THE_HOOK else "another answer than ok"
    return retry(f"HTTP {answer.status} with {what}")
