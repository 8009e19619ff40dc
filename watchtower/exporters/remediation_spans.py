"""A remediation as a trace, told from the journal's own entries: one incident, one trace.

The incident is the root span; each action is a span below it, and each state that the action passes (intent: hold and
drain, dispatched, acked, verifying, reconcile) a span below that. Ids are derived from target, incident and operation,
never drawn: the same incident has the same trace after a restart of the daemon, and in everybody's notes.

A span leaves when it ends. A suspicion that clears leaves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import Span, StatusCode

from watchtower.vocabulary.actions import TERMINAL_ACTIONS, ActionState
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.records import Entry

MOST_OPEN = 8
"""Incidents told at once; there is one per target, so more were forgotten by their journal."""


class DerivedIds(IdGenerator):
    """Hands out the ids that were derived for the span about to start."""

    trace_id = 0
    span_id = 0

    def derive(self, incident: str, *key: str) -> None:
        self.trace_id = int.from_bytes(blake2b(incident.encode(), digest_size=16).digest())
        self.span_id = int.from_bytes(blake2b("|".join((incident, *key)).encode(), digest_size=8).digest())

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id


class RemediationTraces:
    """``entry`` hears of every committed entry, in order."""

    def __init__(
        self, target: str, provider: TracerProvider, ids: DerivedIds, slow_clients: Callable[[], Sequence[str]]
    ) -> None:
        """``slow_clients``: trace ids of clients that were served slowly; the root span names them."""
        self._target = target
        self._tracer = provider.get_tracer("watchtower")
        self._ids = ids
        self._slow_clients = slow_clients
        self._roots: dict[str, Span] = {}
        self._actions: dict[str, Span] = {}
        self._stages: dict[str, Span] = {}

    def entry(self, entry: Entry, now: Instant) -> None:
        if not entry.incident:
            return
        at = int(now.wall * 1e9)
        room, _, word = entry.kind.partition(".")
        if room == "incident":
            self._incident(entry, word, at)
        elif room == "action" and "verb" in entry.body:
            self._action(entry, word, at)

    def _incident(self, entry: Entry, word: str, at: int) -> None:
        root = self._root(entry.incident, at)
        gates = [gate["gate"] for gate in entry.body.get("gates", ())]
        root.add_event(entry.kind, {"why": str(entry.body.get("why", "")), "held_by": gates}, at)
        if "rules" in entry.body:
            root.set_attribute("watchtower.rules", list(entry.body["rules"]))
        if word == "open":
            root.set_attribute("watchtower.client_trace_ids", list(self._slow_clients()))
        elif word == "escalated":
            root.set_status(StatusCode.ERROR, str(entry.body.get("why", "")))
        elif word == "resolved":
            self._roots.pop(entry.incident).end(at)
        elif word == "clear":
            del self._roots[entry.incident]

    def _root(self, incident: str, at: int) -> Span:
        if incident not in self._roots:
            self._ids.derive(f"{self._target}|{incident}")
            attributes = {"watchtower.target": self._target, "watchtower.incident.id": incident}
            self._roots[incident] = self._tracer.start_span("incident", Context(), attributes=attributes, start_time=at)
            while len(self._roots) > MOST_OPEN:
                del self._roots[next(iter(self._roots))]
        return self._roots[incident]

    def _action(self, entry: Entry, word: str, at: int) -> None:
        root = self._root(entry.incident, at)
        body = entry.body
        if word == ActionState.WOULD_ACT:
            root.add_event(entry.kind, {"watchtower.verb": str(body["verb"]), "rule": str(body["rule"])}, at)
            return
        op_id = entry.op_id
        if op_id not in self._actions:
            attributes: dict[str, str | int] = {
                "watchtower.op_id": op_id,
                "watchtower.verb": str(body["verb"]),
                "watchtower.rule": str(body["rule"]),
                "watchtower.attempt": int(body["attempt"]),
                "watchtower.incarnation.before": str(body["before"]),
            }
            self._actions[op_id] = self._child(root, str(body["verb"]), entry.incident, op_id, at)
            self._actions[op_id].set_attributes(attributes)
        if stage := self._stages.pop(op_id, None):
            stage.end(at)
        if word not in TERMINAL_ACTIONS:
            self._stages[op_id] = self._child(self._actions[op_id], word, entry.incident, f"{op_id}|{word}", at)
            return
        action = self._actions.pop(op_id)
        action.set_attribute("watchtower.result", word)
        action.set_attribute("watchtower.incarnation.after", str(body.get("after", "")))
        action.set_attribute("watchtower.verified_by", list(body.get("verified_by", ())))
        good = word == ActionState.EFFECTIVE
        action.set_status(StatusCode.OK if good else StatusCode.ERROR, None if good else str(body.get("because", "")))
        action.end(at)

    def _child(self, parent: Span, name: str, incident: str, key: str, at: int) -> Span:
        self._ids.derive(f"{self._target}|{incident}", key)
        return self._tracer.start_span(name, trace.set_span_in_context(parent, Context()), start_time=at)


class SpanQueue(SpanProcessor):
    """Ended spans until they are sent: bounded, the oldest falls off and is counted."""

    def __init__(self, capacity: int = 1000) -> None:
        self.capacity = capacity
        self.waiting: list[ReadableSpan] = []
        self.dropped = 0

    def on_end(self, span: ReadableSpan) -> None:
        self.waiting.append(span)
        if len(self.waiting) > self.capacity:
            del self.waiting[0]
            self.dropped += 1
