"""Xid events: the driver's own error messages, heard in a thread of its own.

Waiting blocks its thread inside the driver, so the waits are short and nobody else waits along. Only events after the
registration are told: a restarted child has missed what came before. A registration that fails with UNKNOWN spoils
the whole set; it is made anew without that GPU.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from ctypes import c_void_p, cast
from threading import Event, Thread
from typing import Any

import pynvml

from watchtower.hardware.nvml.driver import Driver
from watchtower.hardware.nvml.meanings import UNKNOWN, NvmlError
from watchtower.ports import Clock
from watchtower.vocabulary.gpus import Trouble, Xid

WAIT_SECONDS = 0.5
PAUSE_SECONDS = 1.0
"""After an error of the wait, so that an error that returns at once does not spin."""
MOST_WAITING = 1000
XID: int = pynvml.nvmlEventTypeXidCriticalError


class XidListener:
    def __init__(self, handles: Mapping[str, Any], clock: Clock, call_seconds: float) -> None:
        """``handles`` by UUID."""
        self._handles = dict(handles)
        self._uuids = {_address(handle): uuid for uuid, handle in handles.items()}
        self._clock = clock
        self._call_seconds = call_seconds
        self._leaving = Event()
        self._heard: deque[Xid] = deque(maxlen=MOST_WAITING)
        self._thread = Thread(target=self._run, name="xid", daemon=True)
        self.driver = Driver(lambda: clock.now().boot, WAIT_SECONDS + call_seconds)
        self.refused: dict[str, Trouble] = {}
        """UUIDs whose events are not to be had."""

    def start(self) -> None:
        self._thread.start()

    def take(self) -> list[Xid]:
        """What was heard since the last call."""
        return [self._heard.popleft() for _ in range(len(self._heard))]

    def stop(self) -> bool:
        """Whether the thread has left the driver: only then NVML may be shut down."""
        self._leaving.set()
        self._thread.join(WAIT_SECONDS + self._call_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        listening = dict(self._handles)
        while listening and not self._leaving.is_set():
            spoiler = self._listen(listening)
            if spoiler is None:
                return
            del listening[spoiler]

    def _listen(self, handles: Mapping[str, Any]) -> str | None:
        """Until told to leave, or the UUID that spoiled the set."""
        try:
            events = self.driver.call("", pynvml.nvmlEventSetCreate)
        except NvmlError as problem:
            self.refused.update(dict.fromkeys(handles, problem.meaning.trouble))
            return None
        try:
            spoiler, registered = self._register(events, handles)
            if spoiler is None and registered:
                self._hear(events)
            return spoiler
        finally:
            self._free(events)

    def _register(self, events: Any, handles: Mapping[str, Any]) -> tuple[str | None, int]:
        registered = 0
        for uuid, handle in handles.items():
            try:
                kinds = self.driver.call(uuid, pynvml.nvmlDeviceGetSupportedEventTypes, handle)
                if not kinds & XID:
                    self.refused[uuid] = Trouble.NOT_SUPPORTED
                    continue
                self.driver.call(uuid, pynvml.nvmlDeviceRegisterEvents, handle, XID, events)
                registered += 1
            except NvmlError as problem:
                self.refused[uuid] = problem.meaning.trouble
                if problem.number == UNKNOWN:
                    return uuid, registered
        return None, registered

    def _hear(self, events: Any) -> None:
        while not self._leaving.is_set():
            try:
                event = self.driver.call("", pynvml.nvmlEventSetWait_v2, events, int(WAIT_SECONDS * 1000))
            except NvmlError as problem:
                if problem.number != pynvml.NVML_ERROR_TIMEOUT:
                    self._leaving.wait(PAUSE_SECONDS)
                continue
            if event.eventType & XID:
                uuid = self._uuids.get(_address(event.device), "")
                self._heard.append(Xid(self._clock.now().boot, uuid, int(event.eventData)))

    def _free(self, events: Any) -> None:
        try:
            self.driver.call("", pynvml.nvmlEventSetFree, events)
        except NvmlError:
            pass  # the driver is gone, and the set with it


def _address(handle: Any) -> int | None:
    """Handles are pointer objects whose ``==`` compares the objects, not where they point."""
    return cast(handle, c_void_p).value
