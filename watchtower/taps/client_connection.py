"""The client's half of a connection pair: decides what becomes of each request, and owns the pair.

One request at a time: a pipelined successor waits, unforwarded, until the answer before it has ended. That is why an
own answer can never land inside another answer, and why a request can be parked or refused before one byte of it is
forwarded. Bytes are forwarded exactly as they came; what cannot be framed is forwarded too, unless a control path
shows up in it. An answer that the engine cut short is cut short for the client as well (a reset), never ended neatly.

Between requests the two connections end independently. Servers close idle connections after a few seconds (uvicorn: 5);
mirrored, that close could meet the client's next request half-way and cost it. So the client's connection stays, and
its next request opens a fresh upstream; an upstream that idles is dropped by us before any server would do it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from enum import Enum
from typing import Final, cast

from watchtower.clock import boottime, boottime_ns
from watchtower.exchanges.requests import End, Opacity, RequestFramer, RequestHead
from watchtower.exchanges.responses import ResponseReader
from watchtower.taps import answers
from watchtower.taps.guard import Scanner, normal_path
from watchtower.taps.relay_state import RelayState
from watchtower.taps.request_observer import RequestObserver
from watchtower.taps.route_counts import Bursts
from watchtower.taps.serving_answer import asks_serving, serving_answer
from watchtower.taps.upstream_connection import UpstreamConnection
from watchtower.vocabulary.contacts import ContactKind
from watchtower.vocabulary.facts import Ending
from watchtower.vocabulary.unread import UnreadCause

_MAX_WAITING_BYTES: Final = 256 * 1024
"""More than this from a client whose next request cannot go yet stops reading from it."""
_LINGER_SECONDS: Final = 2.0
"""After an own answer: how long the rest of the request is read and thrown away, so that no reset overtakes it."""
_UPSTREAM_IDLE_NS: Final = 2_000_000_000
"""Shorter than the keep-alive of any engine's server, so that no request is sent on a connection that just ends."""
_CLIENT_IDLE_NS: Final = 75_000_000_000
"""Longer than the keep-alive of clients (httpx: 5 s, gateways: 60 s), so that they are the ones to close."""
_FLUSH_SECONDS: Final = 5.0
"""Before a reset: how long what was already received for the client may take to be sent."""


class _ClientState(Enum):
    OPEN = "open"
    ANSWERED = "answered"
    """We answered; what still comes is thrown away."""
    CUT = "cut"
    """To be reset once everything is sent."""
    CLOSED = "closed"


class _Pause(Enum):
    """Why the client is not read from."""

    UPSTREAM_FULL = 1
    WAITING = 2


class ClientConnection(asyncio.Protocol):
    def __init__(self, relay: RelayState) -> None:
        self._relay = relay
        self._framer = RequestFramer(relay.plan.tag_header)
        self._observer = RequestObserver(relay)
        self._reader = ResponseReader(relay.count, relay.contacts.answered)
        self._transport: asyncio.Transport | None = None
        self._upstream: UpstreamConnection | None = None
        self._scanner: Scanner | None = None
        self._bursts: Bursts | None = None  # while bytes move that are not read
        self._unfollowed = False  # bypassed: an answer may be under way, and nobody reads where it ends
        self._parked: tuple[RequestHead, str] | None = None
        self._method = ""
        self._over_limit = False
        self._state = _ClientState.OPEN
        self._pauses: set[_Pause] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._rested_ns = boottime_ns()  # the last instant at which an answer ended

    @property
    def idle(self) -> bool:
        """No request is under way in either direction."""
        return (
            self._scanner is None
            and self._parked is None
            and not self._unfollowed
            and not self._reader.awaited
            and self._framer.between_requests
            and not self._framer.buffered
        )

    # ── from the client ─────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        # No buffer of our own: every write is sent at once, and a client that is full stops us from reading more.
        self._transport.set_write_buffer_limits(high=0)
        self._over_limit = not self._relay.join(self)

    def data_received(self, data: bytes) -> None:
        if self._state is not _ClientState.OPEN:
            return
        self._framer.receive(data)
        if self._parked is None:
            self._pump()
        elif not self._relay.hold.grow(self, len(self._parked[0].raw) + self._framer.buffered):
            self._pause(_Pause.WAITING, True)

    def pause_writing(self) -> None:
        self._relay.count("clients_slow")
        if self._upstream is not None:
            self._upstream.hold_back(True)
        self._reader.client_stopped(True, boottime_ns())

    def resume_writing(self) -> None:
        if self._state is _ClientState.CUT:
            self._abort()
            return
        if self._upstream is not None:
            self._upstream.hold_back(False)
        self._reader.client_stopped(False, boottime_ns())

    def connection_lost(self, exc: Exception | None) -> None:
        left = self._parked is not None
        if self._reader.awaited:
            left = self._reader.end(Ending.CLIENT_LEFT, boottime_ns()) is Ending.CLIENT_LEFT
        if left and self._state is _ClientState.OPEN:
            self._relay.count("clients_left")
        self._observer.answered(self._reader, Ending.CLIENT_LEFT)
        if self._bursts is not None:
            self._bursts.end()
        self._state = _ClientState.CLOSED
        if self._timer is not None:
            self._timer.cancel()
        self._relay.hold.leave(self)
        self._parked = None
        self._drop_upstream()
        self._relay.leave(self)

    # ── requests ────────────────────────────────────────────────────────────────────────────────

    def _pump(self) -> None:
        """Move pieces towards the engine for as long as they may go."""
        framer, reader = self._framer, self._reader
        while self._state is _ClientState.OPEN and self._parked is None:
            if framer.between_requests and reader.awaited:
                break
            piece = framer.next_piece()
            if piece is None:
                break
            if isinstance(piece, RequestHead):
                self._begin(piece)
            elif isinstance(piece, End):
                self._observer.ended()
            elif framer.opacity:
                self._forward_opaque(piece)
            else:
                self._observer.read(piece)
                self._forward(piece)
        if self._state is _ClientState.OPEN:
            self._pause(_Pause.WAITING, framer.buffered > _MAX_WAITING_BYTES)

    def _begin(self, head: RequestHead) -> None:
        self._method = head.method
        path = normal_path(head.target)
        if self._unfollowed and not self._relay.bypassed:
            self._follow_again()
        if asks_serving(head.method, head.target):
            self._cut() if self._unfollowed else self._end_with(serving_answer(self._relay.serving.status(boottime())))
        elif self._over_limit:
            self._answer(answers.CONNECTION_LIMIT)
        elif self._relay.guard.refuses(path, head.method):
            self._refuse_guarded(untouched=not self._unfollowed)
        elif self._relay.bypassed:
            self._relay.count("requests")
            self._follow_no_more()
            self._forward(head.raw)
        elif self._relay.hold.holding and self._relay.routes.generates(path, head.method):
            if self._relay.hold.park(self, len(head.raw) + self._framer.buffered):
                self._relay.count("parked")
                self._parked = (head, path)
            else:
                self._answer(answers.HOLD_FULL)
        else:
            self._forward_head(head, path)

    def _forward_head(self, head: RequestHead, path: str) -> None:
        self._observer.begin(head, path)
        self._reader.expect(head.method, self._observer.exchange, self._observer.dialect)
        self._forward(head.raw)

    def _forward_opaque(self, piece: bytes) -> None:
        untouched = self._scanner is None and not self._reader.awaited
        scanner = self._scanner or self._turn_opaque()
        if self._over_limit:
            self._answer(answers.CONNECTION_LIMIT)
        elif not scanner.finds(piece):
            if self._bursts is not None:
                self._bursts.moved(boottime_ns())
            self._forward(piece)
        else:
            self._refuse_guarded(untouched)

    def _turn_opaque(self) -> Scanner:
        if self._framer.opacity is Opacity.MALFORMED:
            self._relay.count("requests_malformed")
        elif self._framer.opacity is Opacity.TUNNEL:
            self._relay.count("relay_tunnels")
        self._scanner = self._relay.guard.scanner()
        self._bursts = self._bursts or Bursts(self._relay.passing, UnreadCause.PROTOCOL)
        return self._scanner

    def _refuse_guarded(self, untouched: bool) -> None:
        """``untouched``: no answer can be under way, so that ours does not land inside it."""
        if untouched:
            self._answer(answers.GUARDED)
        else:
            self._relay.caused("guarded_opaque")
            self._cut()

    def _forward(self, data: bytes) -> None:
        if self._upstream is None:
            assert self._transport is not None  # bytes came through it
            relay = self._relay
            self._upstream = UpstreamConnection(
                relay.loop, relay.upstream, relay.plan.connect_seconds, self, self._transport.write, self._reader
            )
            self._upstream.observing = not self._unfollowed
        self._upstream.send(data)

    # ── the bypass ──────────────────────────────────────────────────────────────────────────────

    def only_forward(self) -> None:
        """What is under way goes on unread; what waits goes."""
        if self._state is not _ClientState.OPEN or self._scanner is not None:
            return
        if self._reader.awaited:
            self._reader.end(Ending.UNOBSERVED, boottime_ns())
            self._follow_no_more()
        self._pump()

    def _follow_no_more(self) -> None:
        self._unfollowed = True
        self._observer.stop()
        if self._upstream is not None:
            self._upstream.observing = False
        self._bursts = self._bursts or Bursts(self._relay.passing, UnreadCause.BYPASS)
        self._bursts.moved(boottime_ns())

    def _follow_again(self) -> None:
        """The bypass is over and a request begins, so the answer before it has ended. (Should a client not have waited
        for that, its next bytes are no answer's beginning: the connection is not followed then, and stays whole.)"""
        self._unfollowed = False
        if self._bursts is not None:
            self._bursts.end()
            self._bursts = None
        self._reader = ResponseReader(self._relay.count, self._relay.contacts.answered)
        if self._upstream is not None:
            self._upstream.follow(self._reader)

    # ── the hold ────────────────────────────────────────────────────────────────────────────────

    def resume(self) -> None:
        if self._parked is None:
            return
        head, path = self._parked
        self._parked = None
        self._relay.count("released")
        self._drop_upstream()  # whoever is behind the old connection may be the engine that was just replaced
        self._forward_head(head, path)
        self._pump()

    def wait_is_over(self) -> None:
        self._parked = None
        self._answer(answers.HOLD_WAIT)

    # ── from the engine ─────────────────────────────────────────────────────────────────────────

    def answer_moved(self) -> None:
        reader = self._reader
        if not (reader.awaited and reader.in_sync):
            self._observer.answered(reader, None if reader.in_sync else Ending.UNOBSERVED)
        if not reader.in_sync:
            if self._upstream is not None:
                self._upstream.observing = False
            reader.awaited = False
            self._framer.give_up(Opacity.TUNNEL if reader.switched else Opacity.UNFOLLOWED)
            self._turn_opaque()
        elif self._relay.draining and self._framer.between_requests:
            self.close()
            return
        self._rested_ns = boottime_ns()
        self._pump()

    def upstream_full(self, full: bool) -> None:
        self._pause(_Pause.UPSTREAM_FULL, full)

    def upstream_unreachable(self, upstream: UpstreamConnection) -> None:
        if upstream is not self._upstream:
            return
        self._upstream = None
        self._relay.contacts.note(ContactKind.TIMEOUT if upstream.timed_out else ContactKind.REFUSED, boottime_ns())
        if self._reader.awaited:
            self._reader.end(Ending.ERROR, boottime_ns(), answers.UNREACHABLE.status)
        self._observer.answered(self._reader, Ending.ERROR)
        if self._framer.opacity is Opacity.TUNNEL:
            self._relay.caused(answers.UNREACHABLE.kind)
            self._cut()
        else:
            self._answer(answers.UNREACHABLE)

    def upstream_gone(self, upstream: UpstreamConnection, cut: bool) -> None:
        if upstream is not self._upstream:
            return
        self._upstream = None
        reader = self._reader
        if self._unfollowed or (self._scanner is not None and not reader.awaited):
            self._cut() if cut else self.close()
        elif reader.awaited and not reader.started:
            self._relay.contacts.note(ContactKind.OK, boottime_ns())
            reader.end(Ending.TRUNCATED, boottime_ns())
            self._observer.answered(reader, Ending.TRUNCATED)
            self._answer(answers.CLOSED)
        elif reader.awaited:
            ended = reader.eof(boottime_ns())
            self._observer.answered(reader, None if ended else Ending.TRUNCATED)
            if ended and not cut:
                self.close()
            else:
                self._relay.count("upstream_deaths")
                self._cut()
        elif self._parked is None and not (self.idle and (reader.keeps_alive or self._relay.hold.holding)):
            self.close()

    def rest(self, now_ns: int) -> None:
        """Called about once a second: let go of what has been idle for long."""
        if self._bursts is not None:
            moved_ns = self._upstream.moved_ns if self._upstream is not None else 0
            self._bursts.rest(now_ns, moved_ns if self._unfollowed else max(moved_ns, self._rested_ns))
        idle_ns = now_ns - self._rested_ns
        if idle_ns < _UPSTREAM_IDLE_NS or not self.idle or self._state is not _ClientState.OPEN:
            return
        self._drop_upstream()
        if idle_ns >= _CLIENT_IDLE_NS:
            self.close()

    # ── endings ─────────────────────────────────────────────────────────────────────────────────

    def close(self) -> None:
        """Send what there is, then close."""
        self._drop_upstream()
        if self._transport is not None and self._state is _ClientState.OPEN:
            self._state = _ClientState.CLOSED
            self._transport.close()

    def shut_down(self) -> None:
        """The worker must exit now."""
        if not self.idle and self._state is _ClientState.OPEN:
            self._relay.caused("shutdown")
        self._drop_upstream()
        self._abort()

    def _answer(self, answer: answers.OwnAnswer) -> None:
        """Only ever called with no byte of an answer on its way."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._relay.caused(answer.kind)
        self._end_with(answer.wire(head_only=self._method == "HEAD"))

    def _end_with(self, answer: bytes) -> None:
        """An answer of our own, the last on this connection. Only with no byte of another on its way."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._state = _ClientState.ANSWERED
        self._drop_upstream()
        for pause in tuple(self._pauses):
            self._pause(pause, False)
        transport.write(answer)
        transport.write_eof()
        self._timer = self._relay.loop.call_later(_LINGER_SECONDS, transport.abort)

    def _cut(self) -> None:
        self._state = _ClientState.CUT
        self._drop_upstream()
        if self._transport is None or not self._transport.get_write_buffer_size():
            self._abort()
        else:
            self._timer = self._relay.loop.call_later(_FLUSH_SECONDS, self._abort)

    def _abort(self) -> None:
        """Reset: SO_LINGER with a timeout of zero makes close() send RST, whatever the buffers hold."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        handle = transport.get_extra_info("socket")
        if handle is not None and handle.fileno() >= 0:
            # The loop's own socket object offers no setsockopt; a duplicate names the same socket.
            with socket.socket(fileno=os.dup(handle.fileno())) as same:
                same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()

    def _drop_upstream(self) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.drop()

    def _pause(self, why: _Pause, on: bool) -> None:
        before = bool(self._pauses)
        (self._pauses.add if on else self._pauses.discard)(why)
        after = bool(self._pauses)
        if before == after or self._transport is None or self._transport.is_closing():
            return
        if after:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()
