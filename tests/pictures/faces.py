"""Payloads → HTML, about as their receivers show them. Only what we send is known; anything else raises NotKnown, so
that no sink starts to send a block that nobody has looked at."""

from __future__ import annotations

import re
from collections.abc import Sequence
from email.message import EmailMessage
from html import escape
from typing import Any

from tests.pictures.story import Posted

Json = dict[str, Any]


class NotKnown(AssertionError):
    """A block, field or style that no picture was drawn of."""


def _only(thing: Json, *keys: str) -> None:
    if strange := set(thing) - set(keys):
        raise NotKnown(f"{sorted(strange)} in {sorted(thing)}")


# ── Slack ───────────────────────────────────────────────────────────────────────────────────────


def slack(posted: Sequence[Posted]) -> str:
    (post,) = posted
    _only(post.body, "text", "attachments")
    parts = [f'<div class="who"><b>Watchtower</b> <i>APP</i></div><div>{mrkdwn(post.body["text"])}</div>']
    for attachment in post.body["attachments"]:
        _only(attachment, "color", "fallback", "blocks")
        inner = "".join(_slack_block(block) for block in attachment["blocks"])
        parts.append(f'<div class="bar" style="border-color:{attachment["color"]}">{inner}</div>')
    return f'<div class="slack">{"".join(parts)}</div>'


def _slack_block(block: Json) -> str:
    match block["type"]:
        case "section":
            _only(block, "type", "text", "fields")
            fields = "".join(f"<div>{_slack_text(field)}</div>" for field in block.get("fields", ()))
            text = f"<div>{_slack_text(block['text'])}</div>" if "text" in block else ""
            return f'<div class="section">{text}<div class="fields">{fields}</div></div>'
        case "context":
            _only(block, "type", "elements")
            return f'<div class="context">{"".join(_slack_text(element) for element in block["elements"])}</div>'
        case other:
            raise NotKnown(f"Slack block {other}")


def _slack_text(text: Json) -> str:
    _only(text, "type", "text")
    if text["type"] != "mrkdwn":
        raise NotKnown(f"Slack text {text['type']}")
    return mrkdwn(text["text"])


def mrkdwn(text: str) -> str:
    """Slack's own markup; it arrives with ``&``, ``<`` and ``>`` escaped, but for its links."""
    parts = []
    for place, part in enumerate(text.split("```")):
        if place % 2:
            parts.append(f"<pre>{part}</pre>")
            continue
        linked = re.sub(r"<(https?://[^|>]+)\|([^>]+)>", r'<a href="\1">\2</a>', part)
        bold = re.sub(r"(?<!\w)\*([^*\n]+)\*(?!\w)", r"<b>\1</b>", linked)
        parts.append(bold.strip("\n").replace("\n", "<br>"))
    return "".join(parts)


# ── Teams ───────────────────────────────────────────────────────────────────────────────────────

CARD_COLOURS = {"Attention": "#c4314b", "Warning": "#835c00", "Good": "#237b4b", "Default": "#242424"}


def teams(posted: Sequence[Posted]) -> str:
    (post,) = posted
    (attachment,) = post.body["attachments"]
    card = attachment["content"]
    _only(card, "$schema", "type", "version", "body", "msteams", "actions")
    inner = "".join(_card_element(element) for element in card["body"])
    actions = "".join(_card_action(action) for action in card.get("actions", ()))
    return f'<div class="teams">{inner}<div class="actions">{actions}</div></div>'


def _card_element(element: Json) -> str:
    match element["type"]:
        case "TextBlock":
            _only(
                element, "type", "text", "wrap", "weight", "size", "style", "color", "fontType", "spacing", "isSubtle"
            )
            classes = " ".join(str(element.get(key, "")).lower() for key in ("weight", "size", "fontType", "spacing"))
            subtle = " subtle" if element.get("isSubtle") else ""
            shade = CARD_COLOURS[element.get("color", "Default")]
            return f'<div class="{classes}{subtle}" style="color:{shade}">{_card_text(element["text"])}</div>'
        case "FactSet":
            rows = "".join(
                f"<tr><td>{escape(fact['title'])}</td><td>{_card_text(fact['value'])}</td></tr>"
                for fact in element["facts"]
            )
            return f"<table>{rows}</table>"
        case other:
            raise NotKnown(f"card element {other}")


def _card_text(text: str) -> str:
    """Cards read a little Markdown: a line break of ours alone is a blank, ``_x_`` is slanted."""
    slanted = re.sub(r"(?<!\w)_([^_\n]+)_(?!\w)", r"<i>\1</i>", escape(text))
    return slanted.replace("\n\n", "<br>").replace("\n", " ")


def _card_action(action: Json) -> str:
    if action["type"] != "Action.OpenUrl":
        raise NotKnown(f"card action {action['type']}")
    return f'<a href="{escape(action["url"])}">{escape(action["title"])}</a>'


# ── pagers ──────────────────────────────────────────────────────────────────────────────────────


def pagerduty(posted: Sequence[Posted]) -> str:
    (post,) = posted
    body = post.body
    _only(body, "routing_key", "event_action", "dedup_key", "payload", "client", "client_url", "links")
    payload = body["payload"]
    _only(payload, "summary", "source", "severity", "timestamp", "component", "class", "custom_details")
    resolved = body["event_action"] == "resolve"
    status = "RESOLVED" if resolved else "TRIGGERED"
    rows = {"Alert key": body["dedup_key"], "Source": payload["source"], "Component": payload["component"]}
    rows |= {"Class": payload["class"], **payload["custom_details"]}
    return (
        f'<div class="pager"><span class="{status.lower()}">{status}</span> '
        f"<i>{escape(payload['severity'])}</i><h3>{escape(payload['summary'])}</h3>"
        f"{_pairs(rows)}{_links(body.get('links', ()))}</div>"
    )


def opsgenie(posted: Sequence[Posted]) -> str:
    shown = []
    for line, body in posted:
        method, path = line.split(" ")[:2]
        if path.partition("?")[0].endswith(("/notes", "/close")):
            _only(body, "source", "note")
            what = "CLOSED" if "/close" in path else "Note"
            shown.append(f"<i>{what}</i><pre>{escape(body['note'])}</pre>")
        elif method == "POST":
            _only(
                body, "source", "message", "alias", "description", "entity", "priority", "details", "tags", "responders"
            )
            tags = " ".join(f"<span>{escape(tag)}</span>" for tag in body["tags"])
            rows = {"Alias": body["alias"], "Entity": body["entity"], **body["details"]}
            shown.append(
                f'<span class="triggered">{escape(body["priority"])}</span> {tags}<h3>{escape(body["message"])}</h3>'
                f"<pre>{escape(body['description'])}</pre>{_pairs(rows)}"
            )
        elif method == "PUT":
            _only(body, "message", "description")
        else:
            raise NotKnown(line)
    return f'<div class="pager">{"".join(shown)}</div>'


def _pairs(rows: Json) -> str:
    """A receiver's own table: it keeps no line breaks."""
    body = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in rows.items())
    return f"<table>{body}</table>"


def _links(links: Sequence[Json]) -> str:
    return "".join(f'<a href="{escape(link["href"])}">{escape(link["text"])}</a>' for link in links)


# ── mail and phone ──────────────────────────────────────────────────────────────────────────────


def mail(message: EmailMessage) -> str:
    if message.get_content_type() != "text/plain":
        raise NotKnown(f"mail of type {message.get_content_type()}")
    urgent = '<span class="urgent">!</span> ' if message["Importance"] == "high" else ""
    way = f"{escape(message['From'])} → {escape(message['To'])}"
    heads = f"<h3>{urgent}{escape(message['Subject'])}</h3><div class='heads'>{way}</div>"
    return f'<div class="mail">{heads}<pre>{escape(message.get_content())}</pre></div>'


def phone(text: str) -> str:
    """A lock screen: two short lines of the first words, that is all."""
    return f'<div class="phone"><b>PAGERDUTY · now</b><div>{escape(text)}</div></div>'
