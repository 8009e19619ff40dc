"""The client's half of a connection pair: decides what becomes of each request, and owns the pair.

One request at a time: a pipelined successor waits, unforwarded, until the answer before it has ended. That is why an
own answer can never land inside another answer, and why a request can be parked or refused before one byte of it is
forwarded. Bytes are forwarded exactly as they came; what cannot be framed is forwarded too, unless a request to a
control path shows up in it. Where only the engine's answers cannot be followed, requests stay framed and guarded; they
just wait for nothing. An answer that the engine cut short is cut short for the client as well (a reset), never ended
neatly. No client gets more than its share of a turn of the loop: what is left goes on in the next one.

Between requests the two connections end independently. Servers close idle connections after a few seconds (uvicorn: 5);
mirrored, that close could meet the client's next request half-way and cost it. So the client's connection stays, and
its next request opens a fresh upstream; an upstream that idles is dropped by us before any server would do it.
"""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Final, cast

from watchtower.clock import boottime, boottime_ns
from watchtower.exchanges.requests import End, Opacity, RequestFramer, RequestHead
from watchtower.exchanges.responses import ResponseReader
from watchtower.taps import answers
from watchtower.taps.deadlines import UnreadAnswer, UnsentRequest
from watchtower.taps.guard import normal_path
from watchtower.taps.relay_state import RelayState
from watchtower.taps.request_observer import RequestObserver
from watchtower.taps.route_counts import Bursts
from watchtower.taps.scanner import Scanner
from watchtower.taps.serving_answer import asks_serving, serving_answer
from watchtower.taps.teardown import Teardown
from watchtower.taps.upstream_connection import UpstreamConnection
from watchtower.vocabulary.contacts import ContactKind
from watchtower.vocabulary.facts import Ending
from watchtower.vocabulary.unread import UnreadCause

_MAX_WAITING_BYTES: Final = 256 * 1024
"""More than this from a client whose next request cannot go yet stops reading from it."""
_UPSTREAM_IDLE_NS: Final = 2_000_000_000
"""Shorter than the keep-alive of any engine's server, so that no request is sent on a connection that just ends."""
_RACE_NS: Final = 1_000_000_000
"""An upstream that was used before and ends within this time of a request had ended before it saw the request."""


class _Pause(Enum):
    """Why the client is not read from."""

    UPSTREAM_FULL = 1
    WAITING = 2
    TURN = 3
    """It had its share of this turn of the loop."""


class ClientConnection(asyncio.Protocol):
    def __init__(self, relay: RelayState) -> None:
        self._relay = relay
        self._framer = RequestFramer(relay.plan.tag_header)
        self._observer = RequestObserver(relay)
        self._reader = ResponseReader(relay.count, relay.contacts.answered)
        self._teardown = Teardown(relay.loop)
        self._transport: asyncio.Transport | None = None
        self._upstream: UpstreamConnection | None = None
        self._answers = 0  # that the present upstream gave
        self._scanner: Scanner | None = None  # once another parser may see other requests than we do
        self._untouched = False  # nothing was forwarded that the scanner would look at
        self._bursts: Bursts | None = None  # while bytes move that are not read
        self._opaque = False  # there are no requests any more
        self._was_unfollowed = False
        self._unfollowed = False  # an answer may be under way, and nobody reads where it ends
        self._parked: tuple[RequestHead, str] | None = None
        self._method = ""
        self._pauses: set[_Pause] = set()
        self._waits_for_turn = False
        self._rested_ns = boottime_ns()  # the last instant at which an answer ended
        self._begun_ns = 0  # when the newest request began to be forwarded
        self._sending = UnsentRequest()
        self._reading = UnreadAnswer()
        self._arrived = 0  # bytes from the client since the last look at its deadlines
        self._opaque_since_ns = 0
        self._opaque_ns = 0  # when bytes that are no requests were last forwarded
        self._expects = False  # the client waits for the engine's word before it sends the body

    @property
    def idle(self) -> bool:
        """No request is under way in either direction."""
        return (
            self._framer.between_requests
            and not self._reader.awaited
            and not self._unfollowed
            and self._scanner is None
            and self._parked is None
            and not self._framer.buffered
        )

    @property
    def _may_answer(self) -> bool:
        """No answer can be under way, so that one of ours does not land inside it."""
        return not (self._unfollowed or self._reader.awaited) and (self._scanner is None or self._untouched)

    # ── from the client ─────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._teardown.made(self._transport)
        # No buffer of our own: every write is sent at once, and a client that is full stops us from reading more.
        self._transport.set_write_buffer_limits(high=0)
        self._relay.join(self)

    def data_received(self, data: bytes) -> None:
        self._arrived += len(data)
        if not self._teardown.open:
            self._teardown.heard()
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
        if self._upstream is not None:
            self._upstream.hold_back(False)
        self._reader.client_stopped(False, boottime_ns())

    def connection_lost(self, exc: Exception | None) -> None:
        if self._upstream is not None and self._upstream.behind:
            self._upstream.hold_back(True)
            self._relay.loop.call_soon(self.connection_lost, exc)  # what it got is gone through first, a piece a turn
            return
        left = self._parked is not None
        if self._reader.awaited:
            left = self._reader.end(Ending.CLIENT_LEFT, boottime_ns()) is Ending.CLIENT_LEFT
        if left and self._teardown.open:
            self._relay.count("clients_left")
        self._observer.answered(self._reader, Ending.CLIENT_LEFT)
        if self._bursts is not None:
            self._bursts.end()
        self._teardown.lost()
        self._relay.hold.leave(self)
        self._parked = None
        self._drop_upstream()
        self._relay.leave(self)

    # ── requests ────────────────────────────────────────────────────────────────────────────────

    def _pump(self) -> None:
        """Move pieces towards the engine for as long as they may go."""
        framer = self._framer
        while self._teardown.open and self._parked is None:
            if framer.between_requests and self._reader.awaited:
                break
            if framer.spent:
                self._go_on_next_turn()
                return
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
                self._expects = False
                self._observer.read(piece)
                self._forward(piece)
        if self._teardown.open:
            self._pause(_Pause.WAITING, framer.buffered > _MAX_WAITING_BYTES)
            if self.idle:
                self._relay.places.rest(self)

    def _go_on_next_turn(self) -> None:
        if not self._waits_for_turn:
            self._waits_for_turn = True
            self._pause(_Pause.TURN, True)
            self._relay.loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._waits_for_turn = False
        self._framer.new_turn()
        self._pump()
        if not self._waits_for_turn:
            self._pause(_Pause.TURN, False)

    def _begin(self, head: RequestHead) -> None:
        self._method = head.method
        self._sending.nothing_owed()
        path = normal_path(head.target)
        if self._unfollowed and not self._relay.bypassed:
            self._follow_again()
        if asks_serving(head.method, head.target):
            serving = serving_answer(self._relay.serving.status(boottime()))
            self._end_with(serving) if self._may_answer else self._cut()
        elif not self._relay.places.begin(self):
            self._refuse(answers.CONNECTION_LIMIT)
        elif self._relay.guard.refuses_request(head.method, head.target):
            self._refuse(answers.GUARDED)
        elif self._relay.bypassed:
            self._relay.count("requests")
            self._follow_no_more()
            self._forward_begun(head)
        elif self._relay.hold.holding and self._relay.routes.generates(path, head.method):
            if self._relay.hold.park(self, len(head.raw) + self._framer.buffered):
                self._relay.count("parked")
                self._parked = (head, path)
            else:
                self._refuse(answers.HOLD_FULL)
        else:
            self._forward_head(head, path)

    def _forward_head(self, head: RequestHead, path: str) -> None:
        self._observer.begin(head, path)
        self._reader.expect(head.method, self._observer.exchange, self._observer.dialect)
        self._forward_begun(head)

    def _forward_begun(self, head: RequestHead) -> None:
        self._begun_ns = boottime_ns()
        self._expects = head.expects
        self._forward(head.raw)
        if head.doubtful or (head.switches and self._was_unfollowed):
            self._scan()

    def _forward_opaque(self, piece: bytes) -> None:
        if self._scanner is None and not self._relay.places.begin(self):
            self._refuse(answers.CONNECTION_LIMIT)
            return
        self._turn_opaque()
        self._opaque_ns = boottime_ns()
        if self._bursts is not None:
            self._bursts.moved(self._opaque_ns)
        self._forward(piece)

    def _turn_opaque(self) -> None:
        if self._opaque:
            return
        self._opaque = True
        self._opaque_since_ns = boottime_ns()
        if self._framer.opacity is Opacity.MALFORMED:
            self._relay.count("requests_malformed")
        elif self._framer.opacity is Opacity.TUNNEL:
            self._relay.count("relay_tunnels")
        self._bursts = self._bursts or Bursts(self._relay.passing, UnreadCause.PROTOCOL)
        if self._scanner is None:
            self._scan(untouched=not self._reader.awaited and not self._unfollowed)

    def _scan(self, untouched: bool = False) -> None:
        """From here on whatever goes to the engine is looked through for requests. ``untouched``: no answer can be on
        its way."""
        self._untouched = untouched
        self._scanner = self._scanner or Scanner(self._relay.guard.refuses_request)
        self._framer.be_wary()

    def _forward(self, data: bytes) -> None:
        if self._scanner is not None:
            if self._scanner.finds(data):
                self._refuse(answers.GUARDED)
                return
            self._untouched = False
        if self._upstream is None:
            assert self._transport is not None  # bytes came through it
            relay = self._relay
            if not relay.places.connect():
                self._out_of_descriptors()
                return
            self._answers = 0
            self._upstream = UpstreamConnection(
                relay.loop, relay.upstream, relay.plan.connect_seconds, self, self._transport.write, self._reader
            )
            self._upstream.observing = not self._unfollowed
        self._upstream.send(data)

    # ── the bypass ──────────────────────────────────────────────────────────────────────────────

    def only_forward(self) -> None:
        """What is under way goes on unread; what waits goes."""
        if not self._teardown.open or self._framer.opacity:
            return
        if self._reader.awaited:
            self._reader.end(Ending.UNOBSERVED, boottime_ns())
            self._follow_no_more()
        self._pump()

    def _follow_no_more(self) -> None:
        self._unfollowed = self._was_unfollowed = True
        self._observer.stop()
        if self._upstream is not None:
            self._upstream.observing = False
        self._bursts = self._bursts or Bursts(self._relay.passing, UnreadCause.BYPASS)
        self._bursts.moved(boottime_ns())

    def _follow_again(self) -> None:
        """A request begins that may be read again, so the answer before it has ended. (Should a client not have waited
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
            if reader.switched:
                self._framer.give_up()
                self._turn_opaque()
            else:
                self._unfollowed = self._was_unfollowed = True
                self._bursts = self._bursts or Bursts(self._relay.passing, UnreadCause.PROTOCOL)
        elif self._framer.between_requests:
            if self._relay.draining:
                self.close()
                return
        elif not self._opaque and not reader.keeps_alive:
            self.close()  # an early answer, and the engine reads no more of what the client still sends
            return
        self._rested_ns = boottime_ns()
        self._answers += 1
        if not self._waits_for_turn:
            self._framer.new_turn()  # an answer has been to the engine and back meanwhile
        self._pump()

    def upstream_full(self, full: bool) -> None:
        self._pause(_Pause.UPSTREAM_FULL, full)

    def upstream_unreachable(self, upstream: UpstreamConnection) -> None:
        if upstream is not self._upstream:
            return
        self._drop_upstream()
        if upstream.exhausted:
            self._out_of_descriptors()
            return
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
        self._drop_upstream()
        reader = self._reader
        if self._unfollowed or (self._scanner is not None and not reader.awaited):
            self._cut() if cut else self.close()
        elif reader.awaited and not reader.started:
            self._relay.contacts.note(ContactKind.OK, boottime_ns())
            ending = Ending.OURS if self._raced() else Ending.TRUNCATED
            reader.end(ending, boottime_ns())
            self._observer.answered(reader, ending)
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

    def _raced(self) -> bool:
        """The engine closed an idle connection just as we sent a request on it: nobody's failure."""
        return self._answers > 0 and boottime_ns() - self._begun_ns < _RACE_NS

    # ── time passes ─────────────────────────────────────────────────────────────────────────────

    def rest(self, now_ns: int) -> None:
        """Called about once a second: let go of what has been idle, or on its way, for too long."""
        if self._bursts is not None:
            moved_ns = self._upstream.moved_ns if self._upstream is not None else 0
            self._bursts.rest(now_ns, moved_ns if self._unfollowed else max(moved_ns, self._rested_ns))
        if not self._teardown.open:
            return
        if self.idle:
            idle_ns = now_ns - self._rested_ns
            if idle_ns >= _UPSTREAM_IDLE_NS:
                self._drop_upstream()
            if idle_ns >= self._relay.plan.client_idle_seconds * 1e9:
                self._close_idle()
        elif self._reads_nothing(now_ns):
            self._relay.caused("answer_unread")
            self._client_gave_up(now_ns)
            self._reset()
        elif self._sends_too_slowly(now_ns):
            self._send_away(now_ns)
        self._arrived = 0

    def _close_idle(self) -> None:
        if self._transport is not None and self._transport.get_write_buffer_size():
            self._reset()  # all this time it has not read the end of its answer
        else:
            self.close()

    def _reads_nothing(self, now_ns: int) -> bool:
        unread = self._transport.get_write_buffer_size() if self._transport is not None else 0
        return self._reading.late(now_ns, unread, self._relay.plan.client_idle_seconds)

    def _sends_too_slowly(self, now_ns: int) -> bool:
        """A request whose rest is owed by the client alone holds its place for so long and no longer."""
        plan, reader, sending = self._relay.plan, self._reader, self._sending
        if self._pauses or self._parked is not None:
            pass
        elif self._framer.opacity:
            if self._engine_owes():
                return self._forgotten(now_ns)
            return sending.body_late(now_ns, plan.body_pause_seconds, self._arrived)
        elif self._framer.between_requests:
            if self._framer.buffered and not reader.awaited:
                return sending.head_late(now_ns, plan.head_seconds)
        elif not self._expects or reader.started:
            return sending.body_late(now_ns, plan.body_pause_seconds, self._arrived)
        sending.nothing_owed()
        return False

    def _engine_owes(self) -> bool:
        """Of bytes that nobody can frame, only this is known: who spoke last. What the engine has answered in another
        protocol than HTTP/1 is a session, and may be silent."""
        moved_ns = self._upstream.moved_ns if self._upstream is not None else 0
        if self._framer.opacity is Opacity.TUNNEL:
            return self._reader.switched or moved_ns > self._opaque_since_ns
        return moved_ns > self._opaque_ns

    def _forgotten(self, now_ns: int) -> bool:
        """Bytes that are no HTTP were answered, and nobody has said a word since."""
        self._sending.nothing_owed()
        if self._framer.opacity is Opacity.TUNNEL or self._upstream is None:
            return False
        return now_ns - self._upstream.moved_ns >= self._relay.plan.client_idle_seconds * 1e9

    def _send_away(self, now_ns: int) -> None:
        """A client that does not go on with its request."""
        if self._reader.awaited:
            begun = self._reader.started
            self._client_gave_up(now_ns)
        else:
            begun = not self._framer.between_requests  # its answer came early, and has ended
        if begun:
            self._relay.caused(answers.REQUEST_TIMEOUT.kind)
            self._cut()
        else:
            self._refuse(answers.REQUEST_TIMEOUT)

    def _client_gave_up(self, now_ns: int) -> None:
        if self._reader.awaited:
            self._reader.end(Ending.CLIENT_LEFT, now_ns)
        self._observer.answered(self._reader, Ending.CLIENT_LEFT)

    # ── endings ─────────────────────────────────────────────────────────────────────────────────

    def close(self) -> None:
        """Send what there is, then close; a client that is still sending gets the time to read it."""
        self._drop_upstream()
        if not self._teardown.open:
            return
        if self._framer.between_requests and not self._framer.buffered:
            self._teardown.finish()
        else:
            self._listen_on()

    def let_go(self) -> bool:
        """There is no room for one that waits. False: it has not read the end of its answer yet."""
        self._drop_upstream()
        self._teardown.finish()
        return self._transport is None or not self._transport.get_write_buffer_size()

    def shut_down(self) -> None:
        """The worker must exit now."""
        if not self.idle and self._teardown.open:
            self._relay.caused("shutdown")
        self._reset()

    def _refuse(self, answer: answers.OwnAnswer) -> None:
        """Answer, or cut where bytes of another answer may be on their way."""
        if self._may_answer:
            self._answer(answer)
        else:
            self._relay.caused("guarded_opaque" if answer is answers.GUARDED else answer.kind)
            self._cut()

    def _out_of_descriptors(self) -> None:
        self._relay.count("descriptors_short")
        if self._reader.awaited:
            self._reader.end(Ending.OURS, boottime_ns(), answers.CONNECTION_LIMIT.status)
        self._observer.answered(self._reader, Ending.OURS)
        self._refuse(answers.CONNECTION_LIMIT)

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
        if transport is not None and not transport.is_closing():
            transport.write(answer)
            self._listen_on()

    def _listen_on(self) -> None:
        self._drop_upstream()
        self._relay.places.rest(self)
        self._teardown.linger()
        for pause in tuple(self._pauses):
            self._pause(pause, False)

    def _cut(self) -> None:
        self._drop_upstream()
        self._teardown.cut()

    def _reset(self) -> None:
        self._drop_upstream()
        self._teardown.abort()

    def _drop_upstream(self) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            self._relay.places.disconnect()
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
