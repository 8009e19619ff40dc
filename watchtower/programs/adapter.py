"""The adapter child: the one process that talks to engine and supervisor, so that only it can hang.

    python -m watchtower.programs.adapter          (calls on standard input, results on standard output)

One thread per lane (references: several), so that a canary that hangs does not hold up ``observe``. It owns nothing and
may be killed at any time; it dies with the daemon (PR_SET_PDEATHSIG, and the end of standard input).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path
from queue import Full, Queue
from threading import Lock, Thread
from typing import Any

import msgspec

from watchtower.adapters.calls import LINE_BYTES, READY, Call, Method, Result, Setup
from watchtower.adapters.engine.null_weights import weights_of
from watchtower.adapters.reloads import Reloads
from watchtower.catalogue import load, settings_of
from watchtower.clock import boottime
from watchtower.ports import Engine, ServesWeights, Supervisor, Weights
from watchtower.storage.opledger import OpLedger
from watchtower.vocabulary.actions import Answer, Capabilities, Verb
from watchtower.vocabulary.errors import ExitCode
from watchtower.vocabulary.facts import EngineSeen

PR_SET_PDEATHSIG = 1
LANES = {
    Method.OBSERVE: "look",
    Method.EXECUTE: "restart",
    Method.STATUS: "settle",
    Method.FENCE: "settle",
    Method.CAPABILITIES: "settle",
    Method.SCRAPE: "scrape",
    Method.CANARY: "canary",
    Method.CHECKPOINT: "weights",
    Method.ASK: "ask",
}
THREADS = {"ask": 8}
"""Calls of one lane at once; 1 where none is given. The daemon bounds how many references it asks."""
WAITING = 16
"""Calls that may wait in one lane."""
_BY_WEIGHTS = tuple(verb for verb in Verb if verb.loads_weights)
"""What the engine itself carries out: no supervisor is asked."""


class Adapter:
    """A supervisor and an engine behind one menu of calls."""

    def __init__(self, supervisor: Supervisor, engine: Engine, weights: Weights, reloads: Reloads) -> None:
        self._supervisor = supervisor
        self._engine = engine
        self._weights = weights
        self._reloads = reloads

    def perform(self, call: Call) -> Any:
        match call.method:
            case Method.OBSERVE:
                return self._observe(call.at)
            case Method.EXECUTE:
                if call.plan is None:
                    raise ValueError("execute without a plan")
                if call.plan.verb.loads_weights:
                    return self._reloads.execute(call.plan, call.seconds)
                return self._supervisor.execute(call.plan)
            case Method.STATUS:
                return self._status(call.op_id)
            case Method.FENCE:
                # both, whatever the first says: a late message may be of either kind
                confirmed = (self._supervisor.fence(call.token), self._reloads.fence(call.token))
                return all(confirmed)
            case Method.CAPABILITIES:
                return self._capabilities()
            case Method.SCRAPE:
                return self._engine.scrape(call.at)
            case Method.CANARY:
                return self._engine.canary(call.canary, call.at, call.seconds)
            case Method.CHECKPOINT:
                return self._weights.checkpoint(call.at)
            case Method.ASK:
                if call.question is None:
                    raise ValueError("ask without a question")
                return self._engine.ask(call.question)

    def _capabilities(self) -> Capabilities:
        """A rollback needs a supervisor that knows who runs, and an engine that offers its weights; whether they can
        really be loaded, they tell when they are read."""
        own = self._supervisor.capabilities()
        able = bool(own.verbs) and isinstance(self._engine, ServesWeights)
        return msgspec.structs.replace(own, verbs=(*own.verbs, *_BY_WEIGHTS)) if able else own

    def _status(self, op_id: str) -> Answer:
        """Of a restart or of a rollback: its name does not say. Not done is true only when both say so."""
        reload = self._reloads.status(op_id)
        return self._supervisor.status(op_id) if reload is None else reload

    def _observe(self, at: float) -> EngineSeen:
        seen = self._supervisor.observe(at)
        if seen.known and seen.incarnation is None:
            return seen  # whoever answers on that port is not our engine
        serving, version = self._engine.serving()
        return msgspec.structs.replace(seen, serving=serving, version=version)


def lane_of(call: Call) -> str:
    """Weights are never read in the middle of a reload. A restart waits for neither: the engine may answer nothing any
    more, and the reading of its weights least of all."""
    loads = call.plan is not None and call.plan.verb.loads_weights
    return LANES[Method.CHECKPOINT] if loads else LANES[call.method]


class Lanes:
    """Hands each call to the thread of its lane and writes the results, whole lines, in any order."""

    def __init__(self, adapter: Adapter, output: int) -> None:
        self._adapter = adapter
        self._output = output
        self._writing = Lock()
        self._queues: dict[str, Queue[Call]] = {lane: Queue(WAITING) for lane in set(LANES.values())}
        for lane, queue in self._queues.items():
            for number in range(THREADS.get(lane, 1)):
                Thread(target=self._work, args=(queue,), name=f"{lane}-{number}", daemon=True).start()

    def take(self, call: Call) -> None:
        try:
            self._queues[lane_of(call)].put_nowait(call)
        except Full:
            self.write(Result(id=call.id, trouble="busy"))

    def write(self, result: Result) -> None:
        line = msgspec.json.encode(result) + b"\n"
        with self._writing:
            while line:
                line = line[os.write(self._output, line) :]

    def _work(self, queue: Queue[Call]) -> None:
        while True:
            call = queue.get()
            try:
                result = Result(id=call.id, value=msgspec.Raw(msgspec.json.encode(self._adapter.perform(call))))
            except Exception as problem:
                # a message may carry anything a server said; its kind may not
                result = Result(id=call.id, trouble=type(problem).__name__)
            self.write(result)


def main() -> int:
    _die_with_parent()
    # results have standard output for themselves; whatever a library prints goes to standard error
    output = os.dup(1)
    os.dup2(2, 1)
    calls = sys.stdin.buffer
    try:
        setup = msgspec.json.decode(calls.readline(LINE_BYTES), type=Setup)
    except msgspec.MsgspecError:
        return ExitCode.BAD_INPUT
    lanes = Lanes(_adapter(setup), output)
    lanes.write(Result(id=READY))
    decode = msgspec.json.Decoder(Call).decode
    while line := calls.readline(LINE_BYTES):
        try:
            call = decode(line)
        except msgspec.MsgspecError:
            return ExitCode.BAD_INPUT  # out of step with the daemon: it starts another
        lanes.take(call)
    return ExitCode.OK


def _adapter(setup: Setup) -> Adapter:
    supervised = settings_of("supervisors", setup.supervisor["kind"]).model_validate(setup.supervisor)
    served = settings_of("engines", setup.engine["kind"]).model_validate(setup.engine)
    directory = Path(setup.state_directory)
    supervisor: Supervisor = load("supervisors", supervised.kind)(supervised, directory)
    engine: Engine = load("engines", served.kind)(served, setup.canary_prompt)
    weights = weights_of(engine, setup.engine["checkpoint"])
    reloads = Reloads(
        weights, lambda: OpLedger(directory / "reloads.ledger"), lambda: supervisor.observe(boottime()).incarnation
    )
    return Adapter(supervisor, engine, weights, reloads)


def _die_with_parent() -> None:
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died in between
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    code = main()
    # a lane may hang in a call for ever; nobody is left to hear its result
    sys.stderr.flush()
    os._exit(code)
