"""Looks for requests in bytes that another parser may read as requests, and that we do not.

What counts is what any server takes for a request line: a method, blanks, a target. Whether the target is refused is
for the guard to say, as of a framed request, so that no word of a prompt is an offence by itself. A request may begin
at any byte, in any read: who knows where the engine's parser stands? A target is judged once its end has come; the byte
that ends it is forwarded only after that.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

MOST_TARGET_BYTES: Final = 8192
"""A longer one is refused unread: nobody asks for that, and judging it costs too much."""
MOST_NESTED: Final = 8
"""More targets than this that end together are refused unread: each is the end of the one before it, and judging them
all costs too much."""
MOST_ASKED: Final = 320
"""The same of more requests than this in one read. The kilobyte that a doubtful client gets at a time holds fewer."""
_KEEP: Final = 16
"""Longer than any method."""
_KEEP_SCHEME: Final = 64
"""What a scheme is called changes nothing; that there is one does."""

# Methods are case-sensitive (RFC 9110 §9.1), and servers register theirs in capitals; those that exist count in any
# case. A target is asked for, not taken: it may hold the method of a next one. No byte is looked at for more than one
# match, so that a piece costs what its bytes cost.
_ASKED = re.compile(
    rb"[A-Za-z](?=[\x00-\x20])"
    rb"(?:(?<=[A-Z])|(?<=(?i:get|put))|(?<=(?i:head|post))|(?<=(?i:patch|query|trace))|(?<=(?i:delete))"
    rb"|(?<=(?i:options|connect)))[\x00-\x20]++(?=[/\\%]|[A-Za-z][A-Za-z0-9+.\-]*+(:|\Z)|\Z)"
)
_END = re.compile(rb"[ \r\n]")
_METHOD = re.compile(rb"[A-Za-z-]*\Z")

Judge = Callable[[str, bytes], bool]
"""Method and target of a request: is it refused?"""


class Scanner:
    """Of the unframed bytes of one connection."""

    def __init__(self, refuses: Judge) -> None:
        self._refuses = refuses
        self._tail = b""

    def finds(self, data: bytes) -> bool:
        """True: ``data`` completes a request that is refused, wherever it began."""
        text = self._tail + data
        rest = b""
        end = nested = judged = 0
        for asked in _ASKED.finditer(text):
            begin = asked.end()
            if begin >= end:
                found = _END.search(text, begin)
                end, nested = found.start() if found else len(text), 0
            nested += 1
            if nested > MOST_NESTED or (end - begin > MOST_TARGET_BYTES and asked[1] != b""):
                return True
            if end == len(text):
                rest = rest or self._unfinished(text, asked)
                continue
            judged += 1
            if judged > MOST_ASKED or self._refuses(self._method(text, asked.start() + 1), text[begin:end]):
                return True
        self._tail = rest or text[-_KEEP:]
        return False

    @staticmethod
    def _unfinished(text: bytes, asked: re.Match[bytes]) -> bytes:
        """As much of a request whose target has not ended as it takes to judge it later."""
        target = text[asked.end() :]
        if asked[1] == b"":  # it may be a scheme; then nothing else can have begun in it
            target = target[:_KEEP_SCHEME]
        return text[: asked.start() + 1][-_KEEP:] + b" " + target

    @staticmethod
    def _method(text: bytes, end: int) -> str:
        word = _METHOD.search(text, max(0, end - _KEEP), end)
        return word[0].decode("ascii") if word is not None else ""
