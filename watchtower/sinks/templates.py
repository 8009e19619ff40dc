"""Replaceable words: Jinja2 in a sandbox, over the same facts that the built-in words use.

A template's mistake is found by ``watchtower check``, which renders it for every kind of notice. If one fails all the
same, the built-in words go out in its place, and the failure is counted: an alert is never lost to its own wording.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import structlog
from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from watchtower.knobs import TemplateSettings
from watchtower.sinks.message import HEADLINE_LIMIT, TEXT_LIMIT, Message, clock, cut, message_of
from watchtower.vocabulary.incidents import Notice, notices_of_every_kind

log = structlog.get_logger("watchtower.notices")

_SANDBOX = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False, trim_blocks=True)
"""No escaping here: each sink escapes for its own receiver."""


class Words:
    """Notices → messages, in the user's words where there are any. Raises TemplateSyntaxError."""

    def __init__(self, settings: TemplateSettings, console: str = "") -> None:
        self._console = console
        self._headline = _SANDBOX.from_string(settings.headline) if settings.headline else None
        self._text = _SANDBOX.from_string(settings.text) if settings.text else None
        self.fallbacks = 0
        """Messages that went out in the built-in words because a template failed."""

    def message(self, notice: Notice) -> Message:
        """Never raises."""
        built_in = message_of(notice, self._console)
        try:
            return self.templated(notice, built_in)
        except Exception:  # whatever a template can do wrong; its text may hold anything, so it is not logged
            self.fallbacks += 1
            log.warning("a template failed, the built-in words went out", notice=notice.id)
            return built_in

    def templated(self, notice: Notice, built_in: Message) -> Message:
        """As ``message``, but raises whatever the template raises."""
        known = _known(notice, built_in)
        headline = " ".join(_render(self._headline, known).split())
        text = _render(self._text, known).strip()
        return replace(
            built_in,
            headline=cut(headline, HEADLINE_LIMIT) or built_in.headline,
            own_text=cut(text, TEXT_LIMIT),
        )


def mistakes(settings: TemplateSettings) -> Iterator[tuple[str, str]]:
    """(field, what is wrong) for every template that does not compile or does not render."""
    for field in ("headline", "text"):
        try:
            words = Words(TemplateSettings(**{field: getattr(settings, field)}))
            for notice in notices_of_every_kind():
                words.templated(notice, message_of(notice))
        except TemplateSyntaxError as problem:
            yield field, f"line {problem.lineno}: {problem.message}"
        except TemplateError as problem:
            yield field, str(problem.message or type(problem).__name__)
        except Exception as problem:  # what Python raises inside a template: division by zero, wrong types, …
            yield field, f"cannot be rendered: {type(problem).__name__}"


VARIABLES = (
    "word",
    "target",
    "headline",
    "what",
    "news",
    "since",
    "time",
    "severity",
    "kind",
    "state",
    "incident",
    "rules",
    "action",
    "mode",
    "command",
    "link",
)
"""What a template can name. All are text; what does not apply is empty."""


def _known(notice: Notice, message: Message) -> dict[str, Any]:
    return {
        "word": message.word,
        "target": message.target,
        "headline": message.headline,
        "what": message.what,
        "news": message.news,
        "since": clock(message.since) if message.since else "",
        "time": clock(message.wall),
        "severity": message.severity,
        "kind": message.kind.value,
        "state": message.state.value,
        "incident": message.key,
        "rules": notice.details.get("rules", ""),
        "action": notice.details.get("action", ""),
        "mode": notice.details.get("mode", ""),
        "command": message.command,
        "link": message.link,
    }


def _render(template: Template | None, known: dict[str, Any]) -> str:
    return template.render(known) if template else ""
