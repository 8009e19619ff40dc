"""What exists, on one page: plug-ins by socket and kind. Loaded only when named: an unused one costs nothing to have.

A visible list, not a scan. Others add theirs by an entry point in group ``watchtower.engines``, ``.supervisors`` or
``.sinks``, whose name is the kind; a kind of ours cannot be replaced that way. Each names a class whose attribute
``Settings`` is the type of its knobs. An unknown kind is a mistake that lists the known ones, never a silent default.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, get_args, get_origin

from watchtower.knobs import PluginGroup, Socket
from watchtower.vocabulary.errors import BadInput, Problem

CATALOGUE: dict[Socket, dict[str, str]] = {
    "engines": {
        "vllm": "watchtower.adapters.engine.vllm:VllmEngine",
    },
    "supervisors": {
        "none": "watchtower.adapters.supervisor.none:NoSupervisor",
        "process": "watchtower.adapters.supervisor.process:ProcessSupervisor",
    },
    "sinks": {
        "log": "watchtower.sinks.log:LogSink",
        "webhook": "watchtower.sinks.webhook:WebhookSink",
        "alertmanager": "watchtower.sinks.alertmanager:AlertmanagerSink",
        "pagerduty": "watchtower.sinks.pagerduty:PagerDutySink",
        "opsgenie": "watchtower.sinks.opsgenie:OpsgenieSink",
        "jsm": "watchtower.sinks.opsgenie:JsmSink",
        "slack": "watchtower.sinks.slack:SlackSink",
        "teams": "watchtower.sinks.teams:TeamsSink",
        "smtp": "watchtower.sinks.smtp:SmtpSink",
    },
}

NOT_SPOKEN_YET = frozenset({"llamacpp", "ollama", "openai", "sglang", "tgi", "trtllm"})
"""Engines that people will look for here."""


def kinds(socket: Socket) -> list[str]:
    """Ours, then those of others."""
    return [*CATALOGUE[socket], *(kind for kind in sorted(_others(socket)) if kind not in CATALOGUE[socket])]


def load(socket: Socket, kind: str) -> Any:
    """The plug-in's class, to be called with its settings.

    Raises ``BadInput`` for an unknown kind, with the known ones and the nearest, and for one that cannot be loaded."""
    if kind in CATALOGUE[socket]:
        module, _, attribute = CATALOGUE[socket][kind].partition(":")
        return getattr(import_module(module), attribute)
    entry = _others(socket).get(kind)
    if entry is None:
        raise _bad(socket, *_unknown(socket, kind))
    try:
        return entry.load()
    except (Exception, SystemExit) as problem:  # somebody else's code: whatever it does, the cure is theirs
        what = f"kind {kind} cannot be loaded: {type(problem).__name__}"
        raise _bad(socket, what, f"mend {entry.value}, which brings it") from problem


def settings_of(socket: Socket, kind: str) -> type[PluginGroup]:
    """The type of the knobs of ``kind``. Raises ``BadInput`` as ``load`` does."""
    found = getattr(load(socket, kind), "Settings", None)
    if not (isinstance(found, type) and issubclass(found, PluginGroup) and found.socket == socket):
        what = f"kind {kind} brings no settings"
        raise _bad(socket, what, f"its class needs Settings, a type for {socket} from watchtower.knobs")
    written = found.model_fields["kind"].annotation
    if get_origin(written) is Literal and kind not in get_args(written):
        what = f"kind {kind} calls itself {', '.join(map(str, get_args(written)))} in its settings"
        where = f"the entry point in watchtower.{socket}, and kind in {found.__module__}:{found.__name__}"
        raise _bad(socket, what, f"give both one name: {where}")
    return found


def _others(socket: Socket) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=f"watchtower.{socket}")}


def _unknown(socket: Socket, kind: str) -> tuple[str, str]:
    """(what is wrong, how to mend it)"""
    known = kinds(socket)
    if socket == "engines" and kind in NOT_SPOKEN_YET:
        return f"{kind} is not spoken yet", f"known: {', '.join(known)}; a plug-in may bring it (watchtower.engines)"
    near = get_close_matches(kind, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"unknown kind: {kind[:24]}", f"{hint}one of: {', '.join(known)}"


def _bad(socket: Socket, what: str, cure: str) -> BadInput:
    return BadInput([Problem(f"catalogue of {socket}", "", what, cure)])
