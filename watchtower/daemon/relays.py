"""The daemon's side of the data plane: finds, starts, watches and directs the relay workers.

Workers outlive the daemon. A new one takes over those it finds (their lock says that they live, their handover socket
gives the listening socket) and replaces only those whose plan differs from the configuration, on the same listening
socket. It never kills what it can ask to leave, and it names processes by pidfd, so a reused pid is never hit.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import structlog

from watchtower.ports import Clock
from watchtower.settings import RelaySettings
from watchtower.taps.framing import Deframer, frame
from watchtower.taps.handover import RETIRE, Handed, holder, same_user, take_over
from watchtower.taps.listening import bound, inherited, name_of
from watchtower.taps.relay_plan import PROTOCOL, RelayPlan
from watchtower.taps.socket_addresses import bad, check_socket_path, listen_address, upstream_address
from watchtower.tasks import TaskGroup
from watchtower.vocabulary.errors import NotReachable, ProtocolFault
from watchtower.vocabulary.facts import (
    HoldOrder,
    HoldState,
    OrderNotUnderstood,
    RelayFrame,
    RelayGone,
    RelayHello,
    RelayMessage,
    RelayOrder,
    ReleaseOrder,
)
from watchtower.vocabulary.samples import ExchangeSampled, SampleOrder

FIRST_BACKOFF_SECONDS: Final = 0.2
MAX_BACKOFF_SECONDS: Final = 5.0
STEADY_SECONDS: Final = 30.0
"""A worker that lived this long starts the backoff afresh when it dies."""
_READ_BYTES: Final = 256 * 1024

log = structlog.get_logger("watchtower.relays")

OnFact = Callable[[RelayHello | RelayFrame | RelayGone], None]


class Relays:
    """All relay workers of one target."""

    def __init__(
        self,
        settings: RelaySettings,
        upstream: str,
        run_directory: Path,
        on_fact: OnFact,
        clock: Clock,
        *,
        drain_seconds: float = 30.0,
        on_sample: Callable[[ExchangeSampled], None] = lambda sample: None,
    ) -> None:
        """``drain_seconds``: how long a worker that was told to leave may let open answers end. ``on_sample`` gets the
        samples that ``sample`` ordered: they hold text, so they are no facts and go nowhere else."""
        self._settings = settings
        self._upstream = upstream
        self._directory = run_directory
        self._on_fact = on_fact
        self._on_sample = on_sample
        self._clock = clock
        self._drain_seconds = drain_seconds
        self.address = ""
        """``host:port`` that clients connect to; known after ``start``."""
        self._tasks = TaskGroup(clock.sleep)
        self._server: asyncio.Server | None = None
        self._listening: socket.socket | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._samplers: set[asyncio.StreamWriter] = set()  # those of workers that know how to sample
        self._sampling = SampleOrder(ratio=0)
        self._workers: dict[int, int] = {}  # number → pidfd of the living process
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._hold: tuple[HoldOrder, float] | None = None  # and when it is over, CLOCK_BOOTTIME
        self.skipped: Counter[str] = Counter()
        """Messages by name that only a newer worker knows, and orders that only a newer daemon does."""
        self._released: deque[str] = deque(maxlen=16)  # a worker that was away then still has to hear of it

    @property
    def connected(self) -> int:
        """Workers that talk to us."""
        return len(self._writers)

    async def start(self) -> None:
        """Raises BadInput: listen address bad or taken, upstream unusable, run directory unusable."""
        address = listen_address(self._settings.listen)
        upstream_address(self._upstream)
        facts = self._directory / "facts.sock"
        check_socket_path(facts, "state_directory")
        check_socket_path(self._plan(self._settings.workers - 1).handover_path, "state_directory")
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            facts.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(self._serve, path=facts)
            facts.chmod(0o600)
        except OSError as exc:
            what = f"{self._directory} cannot be used: {(exc.strerror or 'unknown error').lower()}"
            raise bad("state_directory", what, "make it a directory that this user may write to") from exc
        found = self._find()
        try:
            self._listening = self._inherit(found) or inherited(os.environ, os.getpid()) or bound(address)
        except BaseException:
            self._server.close()
            raise
        self.address = name_of(self._listening)
        for number in range(self._settings.workers):
            self._tasks.start(f"relay worker {number}", partial(self._keep, number))

    def order(self, order: RelayOrder) -> None:
        """Tell every worker, and every one that connects later while a hold lives."""
        if isinstance(order, HoldOrder):
            self._hold = (order, self._clock.now().boot + order.seconds)
        else:
            self._released.append(order.op_id)
            if self._hold is not None and self._hold[0].op_id == order.op_id:
                self._hold = None
        message = frame(order)
        for writer in self._writers:
            writer.write(message)

    def sample(self, order: SampleOrder) -> None:
        """Every worker, also one that connects later, takes samples like this from now on."""
        self._sampling = order
        message = frame(order)
        for writer in self._samplers:
            writer.write(message)

    async def stop(self, leave_running: bool) -> None:
        """Let go of the workers; with ``leave_running=False`` ask them to leave and wait until they have."""
        await self._tasks.stop()
        if not leave_running:
            for pidfd in self._workers.values():
                _ask_to_leave(pidfd)
            await asyncio.gather(*(self._await_exit(pidfd) for pidfd in self._workers.values()))
        for child in self._children.values():
            if child.poll() is None:
                child.returncode = 0  # it lives on without us: nothing to wait for, nothing to warn about
        for pidfd in self._workers.values():
            os.close(pidfd)
        self._workers.clear()
        for writer in list(self._writers):
            writer.close()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        if self._listening is not None:
            self._listening.close()

    # ── finding and keeping workers ─────────────────────────────────────────────────────────────

    def _plan(self, number: int, listen_fd: int = -1) -> RelayPlan:
        plan = worker_plan(self._settings, self._upstream, self._directory, number)
        return msgspec.structs.replace(plan, listen_fd=listen_fd, drain_seconds=self._drain_seconds)

    def _find(self) -> list[tuple[socket.socket, Handed]]:
        """Living workers of any number, with what they hand over; those that cannot stay are told to leave."""
        found: list[tuple[socket.socket, Handed]] = []
        for path in sorted(self._directory.glob("relay-*.lock")):
            name = path.stem.removeprefix("relay-")
            pid = holder(path)
            if pid is None or not name.isdigit():
                continue
            number = int(name)
            plan = self._plan(number)
            handed = None
            try:
                listening, handed = take_over(plan.handover_path)
                found.append((listening, handed))
            except NotReachable as problem:
                log.warning("relay worker does not hand over", worker=number, pid=pid, because=str(problem))
            if number < self._settings.workers and handed is not None and handed.digest == plan.digest():
                self._adopt(number, pid)
            else:
                log.info("relay worker is replaced: its plan differs", worker=number, pid=pid)
                self._dismiss(pid, handed)
        return found

    def _inherit(self, found: list[tuple[socket.socket, Handed]]) -> socket.socket | None:
        """The first listening socket that is on the configured address; the others are closed."""
        kept: socket.socket | None = None
        for listening, handed in found:
            if kept is None and handed.listen == self._settings.listen:
                kept = listening
            else:
                listening.close()
        return kept

    def _adopt(self, number: int, pid: int) -> None:
        try:
            self._workers[number] = os.pidfd_open(pid)
        except OSError:
            return  # it just died; it will be started anew
        log.info("relay worker adopted", worker=number, pid=pid)

    def _dismiss(self, pid: int, handed: Handed | None) -> None:
        """Another takes its place. One that knows how to retire cuts no stream, however long; the others end them all
        within their ``drain_seconds``."""
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            return
        _ask_to_leave(pidfd, RETIRE if handed is not None and handed.retires else signal.SIGTERM)
        os.close(pidfd)

    async def _keep(self, number: int) -> None:
        """Worker ``number`` lives, for as long as this runs."""
        backoff = FIRST_BACKOFF_SECONDS
        while True:
            if number not in self._workers:
                self._spawn(number)
            born = self._clock.now().boot
            await self._death_of(self._workers[number])
            os.close(self._workers.pop(number))
            child = self._children.pop(number, None)
            status = child.wait() if child is not None else None
            if self._clock.now().boot - born >= STEADY_SECONDS:
                backoff = FIRST_BACKOFF_SECONDS
            log.warning("relay worker died", worker=number, exit_status=status, again_in_seconds=backoff)
            await self._clock.sleep(backoff)
            backoff = min(2 * backoff, MAX_BACKOFF_SECONDS)

    def _spawn(self, number: int) -> None:
        assert self._listening is not None  # start() made it
        descriptor = self._listening.fileno()
        plan = msgspec.json.encode(self._plan(number, descriptor)).decode()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        output = os.open(self._directory / f"relay-{number}.log", flags, 0o600)
        try:
            child = subprocess.Popen(
                [sys.executable, "-m", "watchtower.programs.relay", plan],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[descriptor],
                start_new_session=True,
            )
        finally:
            os.close(output)
        self._children[number] = child
        self._workers[number] = os.pidfd_open(child.pid)
        log.info("relay worker started", worker=number, pid=child.pid)

    async def _death_of(self, pidfd: int) -> None:
        """A pidfd becomes readable when its process ends."""
        loop = asyncio.get_running_loop()
        dead = asyncio.Event()
        loop.add_reader(pidfd, dead.set)
        try:
            await dead.wait()
        finally:
            loop.remove_reader(pidfd)

    async def _await_exit(self, pidfd: int) -> None:
        """The worker has a deadline of its own; one that misses even that is stuck."""
        try:
            async with asyncio.timeout(self._drain_seconds + 5):
                await self._death_of(pidfd)
        except TimeoutError:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)

    # ── talking with workers ────────────────────────────────────────────────────────────────────

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("socket")
        hello: RelayHello | None = None
        deframer: Deframer[RelayMessage] = Deframer(msgspec.msgpack.Decoder(RelayMessage), self._skip)
        self._writers.add(writer)
        try:
            if not _same_user(peer):
                return
            self._repeat_hold(writer)
            while data := await reader.read(_READ_BYTES):
                for message in deframer.feed(data):
                    if isinstance(message, ExchangeSampled):
                        self._on_sample(message)
                        continue
                    if isinstance(message, OrderNotUnderstood):
                        log.warning("an older relay worker does not understand an order", order=message.order)
                        self.skipped[message.order] += 1
                        continue
                    if isinstance(message, RelayHello):
                        hello = message
                        self._begin_sampling(hello, writer)
                    elif message.hold is HoldState.HOLDING and message.hold_op in self._released:
                        writer.write(frame(ReleaseOrder(op_id=message.hold_op)))
                    self._on_fact(message)
        except ProtocolFault as problem:
            log.error("relay worker does not speak our protocol", because=str(problem))
        except ConnectionError:
            pass  # it died; its pidfd says so as well
        finally:
            self._writers.discard(writer)
            self._samplers.discard(writer)
            writer.close()
            if hello is not None:
                self._on_fact(RelayGone(at=self._clock.now().boot, worker=hello.worker, pid=hello.pid))

    def _skip(self, name: str) -> None:
        self.skipped[name] += 1
        if self.skipped[name] == 1:
            log.warning("a relay worker says what this version does not know; it is skipped", message=name)

    def _begin_sampling(self, hello: RelayHello, writer: asyncio.StreamWriter) -> None:
        if hello.obeys("sample"):
            self._samplers.add(writer)
            writer.write(frame(self._sampling))

    def _repeat_hold(self, writer: asyncio.StreamWriter) -> None:
        if self._hold is None:
            return
        order, until = self._hold
        left = until - self._clock.now().boot
        if left <= 0:
            self._hold = None
        else:
            writer.write(frame(msgspec.structs.replace(order, seconds=left)))


def worker_plan(settings: RelaySettings, upstream: str, run_directory: Path, number: int) -> RelayPlan:
    """What relay worker ``number`` of this run directory is told at start."""
    return RelayPlan(
        worker=number,
        listen=settings.listen,
        upstream=upstream,
        run_directory=str(run_directory),
        facts=str(run_directory / "facts.sock"),
        guard=settings.guard,
        allow_paths=settings.allow_paths,
        tag_header=settings.tag_header,
        connect_seconds=settings.connect_seconds,
        max_connections=settings.max_connections,
        protocol=PROTOCOL,
    )


def _ask_to_leave(pidfd: int, how: signal.Signals = signal.SIGTERM) -> None:
    try:
        signal.pidfd_send_signal(pidfd, how)
    except ProcessLookupError:
        pass  # it has left already


def _same_user(peer: socket.socket) -> bool:
    with socket.socket(fileno=os.dup(peer.fileno())) as same:
        return same_user(same)
