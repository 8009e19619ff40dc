"""The play: healthy traffic, then one fault after another, each from its injection to calm again.

Everything is observed from outside, twice a second. The play ends early, and says why, when the daemon dies or an
incident is left to a person; whatever happens, the fault is taken away and the traffic stopped before it returns.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import httpx

from watchtower.lab.demonstration.narration import JournalEntry, Json, Look, ScreenLine, changes
from watchtower.lab.demonstration.receiver import Notices
from watchtower.lab.demonstration.report import IN_PLACE, NOTHING, TOLD_ONLY, FaultReport, Sighting, report, sighting
from watchtower.lab.demonstration.screen import Screen
from watchtower.lab.demonstration.stage import Stage
from watchtower.lab.simulator.chats import ChatTraffic
from watchtower.lab.simulator.faults import Injector, Proof
from watchtower.lab.simulator.procfs import process
from watchtower.lab.simulator.swap import CheckpointSwap
from watchtower.ports import Clock
from watchtower.vocabulary.errors import WatchtowerError

LOOK_SECONDS = 0.5
HEALTHY_SECONDS = 20.0
"""Calm, in one piece, before the first fault: as long as the demo's load baseline takes to stand."""
UNCURED_SECONDS = 12.0
"""How long a fault must stay uncured in mode observe, after the would-act."""
RULES = {"slow": "slow_tokens", "hang": "hang", "imbalance": "gpu_imbalance", "drift": "weights_changed"}
"""Fault → the rule that must notice it."""
TOLD_SECONDS = 5.0
"""How long a fault that is only told stays in force after it was detected, to see that nothing is done."""


class Unfinished(Exception):
    """The play cannot go on; the text says why."""


@dataclass(slots=True)
class Play:
    stage: Stage
    clock: Clock
    http: httpx.AsyncClient
    traffic: ChatTraffic
    make_injector: Callable[[Callable[[], int]], Injector]
    """From a function that tells the engine's pid of that moment."""
    swap: CheckpointSwap
    capture: Callable[[], Awaitable[None]]
    """Ask the daemon for references, and wait for them. Raises WatchtowerError."""
    notices: Notices
    screen: Screen
    mode: str
    injector: Injector = field(init=False)
    reports: list[FaultReport] = field(default_factory=list)
    last: Look | None = None
    engine_version: str = ""
    first_incarnation: Json | None = None
    notices_shown: int = 0

    def __post_init__(self) -> None:
        self.injector = self.make_injector(self._engine_pid)

    # ── looking ───────────────────────────────────────────────────────────────────────────────

    async def look(self) -> Look | None:
        """One look at the API, told and shown; None when the daemon does not answer just now."""
        self.stage.must_live()
        try:
            status, incidents = await self._get("status"), (await self._get("incidents"))["incidents"]
            actions = (await self._get("actions"))["actions"]
            look = Look(status, incidents, actions, await self._journal(status["now"], incidents[:1]))
        except (httpx.TransportError, httpx.HTTPStatusError):
            return None
        self.screen.tell(*changes(self.last, look))
        self.last = look
        self.engine_version = look.status["engine"]["version"] or self.engine_version
        arrived = self.notices.all()
        for notice in arrived[self.notices_shown :]:
            self.screen.tell(ScreenLine("tells", f"{notice['type']}, signature valid: {notice['title']}"))
        self.notices_shown = len(arrived)
        self.screen.show(look, self.traffic)
        return look

    async def _get(self, what: str) -> Any:
        answer = await self.http.get(f"{self.stage.web}/api/v1/{what}", timeout=5.0)
        answer.raise_for_status()
        return answer.json()

    async def _journal(self, now: Json, newest: list[Json]) -> list[JournalEntry]:
        """The newest incident's entries, their instants moved from the wall clock to the boot clock."""
        records = [
            record for incident in newest for record in (await self._get(f"incidents/{incident['id']}"))["records"]
        ]
        moved = now["boot"] - now["wall"]
        return [
            JournalEntry(record["seq"], record["kind"], record["wall"] + moved, str(record["body"].get("verb", "")))
            for record in records
        ]

    async def watch(self, seconds: float, until: Callable[[Look], bool]) -> bool:
        """Look until ``until`` says so; False when ``seconds`` passed first."""
        deadline = self.clock.now().boot + seconds
        while self.clock.now().boot < deadline:
            look = await self.look()
            if look is not None and until(look):
                return True
            await self.clock.sleep(LOOK_SECONDS)
        return False

    # ── acts ──────────────────────────────────────────────────────────────────────────────────

    async def opening(self) -> None:
        """The daemon watches, its engine serves and has answered once. Raises Unfinished."""
        patience = self.stage.plan.start_seconds

        def ready(look: Look) -> bool:
            return bool(look.status["ready"] and look.status["engine"]["serving"] and self.incarnation)

        if not await self.watch(patience, ready):
            raise Unfinished(f"the engine did not serve within {patience:g} s")
        self.first_incarnation = self.incarnation
        self.screen.tell(ScreenLine("demo", "warming the engine up with one request of our own, sent to it directly"))
        body = {"model": self.stage.plan.model, "messages": [{"role": "user", "content": "Hello."}], "max_tokens": 2}
        try:
            answer = await self.http.post(
                f"{self.stage.plan.url}/v1/chat/completions", json=body, timeout=self.stage.plan.start_seconds
            )
            answer.raise_for_status()
        except httpx.HTTPError as problem:
            raise Unfinished(f"the engine did not answer a first request: {type(problem).__name__}") from problem

    async def references(self) -> None:
        """The healthy engine's answers become what its later answers are compared with. Raises Unfinished."""
        self.screen.tell(ScreenLine("demo", "asking the healthy engine questions of our own, several times each"))
        try:
            await self.capture()
        except WatchtowerError as problem:
            raise Unfinished(f"no references could be captured: {problem}") from problem

        def kept(look: Look) -> bool:
            checkpoint = look.status["checkpoint"]
            return bool(checkpoint["state"] == "blessed" and self._verdict(RULES["drift"]) == "ok")

        if not await self.watch(self.stage.plan.cure_seconds, kept):
            raise Unfinished("the healthy engine's weights were not blessed: " + _why_not_blessed(self.last))

    async def healthy_traffic(self) -> None:
        callers = self.stage.plan.callers
        self.screen.tell(ScreenLine("demo", f"healthy traffic first: {callers} callers, {HEALTHY_SECONDS:g} s of calm"))
        await self.calm(HEALTHY_SECONDS)

    async def calm(self, seconds: float) -> None:
        """No incident and the watched rules OK for ``seconds``; UNKNOWN pauses the count. Raises Unfinished."""
        counted, last = 0.0, self.clock.now().boot
        rules = [RULES[name] for name in self.stage.plan.faults]

        def calm(look: Look) -> bool:
            nonlocal counted, last
            now = self.clock.now().boot
            passed, last = now - last, now
            if _is_disturbed(look, rules):
                counted = 0.0
            elif _is_calm(look, rules):
                counted += passed
            return counted >= seconds

        if not await self.watch(self.stage.plan.cure_seconds + seconds, calm):
            raise Unfinished("it did not become calm: " + _why_not_calm(self.last, rules))

    async def fault(self, name: str) -> None:
        """One of RULES, from its injection until all is calm again. Raises Unfinished and FaultNotProven."""
        before, good = self.incarnation, await self.swap.checksum() if name in IN_PLACE else ""
        self.traffic.phase = name
        self.screen.tell(ScreenLine("demo", f"injecting the fault: {name}"))
        try:
            proof = await getattr(self.injector, name)()
            facts = ", ".join(f"{key} {value}" for key, value in proof.evidence.items())
            self.screen.tell(ScreenLine("demo", f"the fault is proven: {facts}"))
            if name in TOLD_ONLY:
                seen = await self._alerted_only(proof)
            else:
                seen = await (self._observed(proof) if self.mode == "observe" else self._cured(proof))
            after, firing = self.incarnation, self._firing(RULES[name])
            weights = (good, await self.swap.checksum() if good else "")
        finally:
            await self.injector.clear()
        if name in TOLD_ONLY:
            self.screen.tell(ScreenLine("demo", "the demo took the fault away: hardware is for people to mend"))
        elif self.mode == "observe":
            self.screen.tell(ScreenLine("demo", "the demo itself took the fault away: mode observe cures nothing"))
        try:
            await self.calm(2.0)
        finally:
            replaced = before != after and _is_gone(before) and after is not None and not _is_gone(after)
            counts = self.traffic.counts(name)
            self.reports.append(
                report(
                    proof,
                    seen,
                    counts,
                    before=before,
                    after=after,
                    replaced=replaced,
                    still_firing=firing,
                    weights=weights,
                )
            )

    async def _cured(self, proof: Proof) -> Sighting:
        seen = NOTHING

        def done(look: Look) -> bool:
            nonlocal seen
            seen = sighting(proof.injected_at, look)
            return seen.cured_at is not None or seen.escalated

        await self.watch(self.stage.plan.cure_seconds, done)
        return seen

    async def _observed(self, proof: Proof) -> Sighting:
        seen = NOTHING

        def recorded(look: Look) -> bool:
            nonlocal seen
            seen = sighting(proof.injected_at, look)
            return seen.would_act and seen.detected_at is not None

        await self.watch(self.stage.plan.cure_seconds, recorded)
        self.screen.tell(ScreenLine("demo", f"watching for {UNCURED_SECONDS:g} s whether anything is done"))

        def never(look: Look) -> bool:
            recorded(look)
            return False

        await self.watch(UNCURED_SECONDS, never)
        return seen

    async def _alerted_only(self, proof: Proof) -> Sighting:
        """A fault that no restart cures: it is detected, and nothing is done."""
        seen = NOTHING

        def detected(look: Look) -> bool:
            nonlocal seen
            seen = sighting(proof.injected_at, look)
            return seen.detected_at is not None and self._firing(RULES[proof.fault])

        await self.watch(self.stage.plan.cure_seconds, detected)

        def never(look: Look) -> bool:
            detected(look)
            return False

        await self.watch(TOLD_SECONDS, never)
        return seen

    @property
    def incarnation(self) -> Json | None:
        """The engine's, as the daemon last said."""
        found: Json | None = self.last.status["engine"]["incarnation"] if self.last else None
        return found

    def _firing(self, rule: str) -> bool:
        rules = self.last.status["rules"] if self.last else []
        return any(state["rule"] == rule and state["firing"] for state in rules)

    def _verdict(self, rule: str) -> str:
        rules = self.last.status["rules"] if self.last else []
        return next((str(state["verdict"]) for state in rules if state["rule"] == rule), "")

    def _engine_pid(self) -> int:
        return int(self.incarnation["id"]) if self.incarnation else 0


def _why_not_blessed(look: Look | None) -> str:
    if look is None:
        return "the daemon never answered"
    checkpoint = look.status["checkpoint"]
    rules = [state["sentence"] for state in look.status["rules"] if state["rule"] == RULES["drift"]]
    return "; ".join(text for text in (checkpoint["state"], checkpoint["because"], *rules) if text)


def _is_calm(look: Look, rules: Collection[str]) -> bool:
    verdicts = {rule["rule"]: rule["verdict"] for rule in look.status["rules"]}
    return look.status["incident"] is None and all(verdicts.get(name) == "ok" for name in rules)


def _is_disturbed(look: Look, rules: Collection[str]) -> bool:
    return look.status["incident"] is not None or any(
        rule["rule"] in rules and rule["verdict"] == "breach" for rule in look.status["rules"]
    )


def _why_not_calm(look: Look | None, rules: Collection[str]) -> str:
    if look is None:
        return "the daemon never answered"
    if (incident := look.status["incident"]) is not None:
        return f"an incident is {incident['state'].upper()}: {incident['title']}"
    return "; ".join(
        f"{rule['rule']} {rule['verdict']}: {rule['sentence']}"
        for rule in look.status["rules"]
        if rule["rule"] in rules and rule["verdict"] != "ok"
    )


def _is_gone(incarnation: Json | None) -> bool:
    """Looked up in /proc: no such process any more, or another one under its pid."""
    if incarnation is None:
        return False
    found = process(int(incarnation["id"]))
    return found is None or found.state == "Z" or found.started != incarnation["started"]
