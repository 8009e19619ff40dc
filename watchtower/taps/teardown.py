"""How a client's connection ends, once it is decided that it does: neatly, lingering, or cut.

Closing a socket while the other side still sends makes the kernel reset the connection, and the reset throws away what
the client has not read yet. So where the client may still be sending its request, the answer is followed by an EOF, and
what still comes is read and thrown away for as long as it comes, within bounds: that is lingering. A cut is a reset on
purpose, after the client has taken everything that was received for it: an answer that the engine cut short must not
look whole, and a reset throws away what still waits in the kernel.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import struct
import termios
from contextlib import suppress
from typing import Final

LINGER_SECONDS: Final = 2.0
"""Without a byte from the client: then it has read its answer, or never will."""
_MOST_LINGERS: Final = 15
"""Times LINGER_SECONDS: as long as a client that goes on sending is listened to."""
_FLUSH_SECONDS: Final = 5.0
"""Before a reset: how long a client may take nothing of what was received for it."""
_MOST_FLUSHES: Final = 24
"""Times _FLUSH_SECONDS: as long as one that goes on taking is waited for."""
_LOOK_SECONDS: Final = 0.02
"""Between two looks whether it has."""
UNREAD_SECONDS: Final = 60.0
"""Without the client reading any of what is left for it; kernels show that a client reads only every few hundred KB."""
_MOST_UNREAD: Final = 10
"""Times UNREAD_SECONDS: as long as a client that goes on reading is waited for."""


class Teardown:
    """Of one client connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self.open = True
        """Nothing is decided: the connection goes on."""
        self._timer: asyncio.TimerHandle | None = None
        self._heard = False
        self._lingers = 0

    def made(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def finish(self) -> None:
        """Send what there is, then close: the client sends nothing now. One that does not read is not waited for."""
        self.open = False
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.close()
            if left := transport.get_write_buffer_size():
                self._timer = self._loop.call_later(UNREAD_SECONDS, self._flushed_too_slowly, left, 1)

    def linger(self) -> None:
        """Send what there is and an EOF, and listen until the client has had its time to read it."""
        self.open = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()
            self._timer = self._loop.call_later(LINGER_SECONDS, self._lingered)

    def heard(self) -> None:
        """Bytes came that nobody wants."""
        self._heard = True

    def cut(self) -> None:
        """Reset, once the client has everything."""
        self.open = False
        now = self._loop.time()
        self._cut_once_taken(self._untaken(), now, now)

    def abort(self) -> None:
        """Reset: SO_LINGER with a timeout of zero makes close() send RST, whatever the buffers hold."""
        transport = self._transport
        if transport is None or (transport.is_closing() and not transport.get_write_buffer_size()):
            return
        handle = transport.get_extra_info("socket")
        if handle is not None and handle.fileno() >= 0:
            _reset_on_close(handle.fileno())
        transport.abort()

    def lost(self) -> None:
        """The connection is no more."""
        self.open = False
        if self._timer is not None:
            self._timer.cancel()

    def _cut_once_taken(self, before: int, since: float, began: float) -> None:
        """``before``: bytes that were left at ``since``, when the client last took some."""
        left, now = self._untaken(), self._loop.time()
        if left < before:
            since = now
        if not left or now - since >= _FLUSH_SECONDS or now - began >= _MOST_FLUSHES * _FLUSH_SECONDS:
            self.abort()
        else:
            self._timer = self._loop.call_later(_LOOK_SECONDS, self._cut_once_taken, left, since, began)

    def _untaken(self) -> int:
        """Bytes for the client that it has not acknowledged: in our buffer, and in the kernel's (tcp(7), SIOCOUTQ)."""
        transport = self._transport
        if transport is None:
            return 0
        handle = transport.get_extra_info("socket")
        kernels = 0
        if handle is not None and handle.fileno() >= 0:
            with suppress(OSError):
                (kernels,) = struct.unpack("i", fcntl.ioctl(handle.fileno(), termios.TIOCOUTQ, bytes(4)))
        return transport.get_write_buffer_size() + int(kernels)

    def _flushed_too_slowly(self, before: int, times: int) -> None:
        left = self._transport.get_write_buffer_size() if self._transport is not None else 0
        if left < before and times < _MOST_UNREAD:
            self._timer = self._loop.call_later(UNREAD_SECONDS, self._flushed_too_slowly, left, times + 1)
        else:
            self.abort()

    def _lingered(self) -> None:
        assert self._transport is not None  # it was there to linger on
        self._lingers += 1
        busy = self._heard or self._transport.get_write_buffer_size()
        if busy and self._lingers < _MOST_LINGERS:
            self._heard = False
            self._timer = self._loop.call_later(LINGER_SECONDS, self._lingered)
        else:
            self._transport.abort()


def _reset_on_close(descriptor: int) -> None:
    """The loop's own socket object offers no setsockopt; a duplicate names the same socket."""
    try:
        same = socket.socket(fileno=os.dup(descriptor))
    except OSError:
        return  # out of descriptors: the connection ends all the same, if less rudely
    with same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
