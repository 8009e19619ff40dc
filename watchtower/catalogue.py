"""What exists, on one page: plug-ins by name. Loaded only when named, so an unused one costs nothing to have.

A visible list, not a scan. An unknown name is a mistake that lists the known ones, never a silent default.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import Any, Literal

from watchtower.vocabulary.errors import BadInput, Problem

Kind = Literal["engines", "supervisors", "sinks"]

CATALOGUE: dict[Kind, dict[str, str]] = {
    "engines": {
        "vllm": "watchtower.adapters.engine.vllm:VllmEngine",
    },
    "supervisors": {
        "none": "watchtower.adapters.supervisor.none:NoSupervisor",
        "process": "watchtower.adapters.supervisor.process:ProcessSupervisor",
    },
    "sinks": {
        "alertmanager": "watchtower.sinks.alertmanager:AlertmanagerSink",
        "jsm": "watchtower.sinks.opsgenie:OpsgenieSink",
        "log": "watchtower.sinks.log:LogSink",
        "opsgenie": "watchtower.sinks.opsgenie:OpsgenieSink",
        "pagerduty": "watchtower.sinks.pagerduty:PagerDutySink",
        "slack": "watchtower.sinks.slack:SlackSink",
        "smtp": "watchtower.sinks.smtp:SmtpSink",
        "teams": "watchtower.sinks.teams:TeamsSink",
        "webhook": "watchtower.sinks.webhook:WebhookSink",
    },
}


def load(kind: Kind, name: str) -> Any:
    """The object behind ``name``: a class to be called with its settings.

    Raises ``BadInput`` for an unknown name, with the known ones and the nearest."""
    known = CATALOGUE[kind]
    if name not in known:
        nearest = get_close_matches(name, known, n=1)
        cure = f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(sorted(known)) or 'none'}"
        if nearest and len(known) > 1:
            cure += f" (known: {', '.join(sorted(known))})"
        raise BadInput([Problem(f"catalogue of {kind}", "", f"unknown name {name!r}", cure)])
    module, _, attribute = known[name].partition(":")
    return getattr(import_module(module), attribute)
