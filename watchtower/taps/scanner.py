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
_KEEP: Final = 16
"""Longer than any method."""

# Methods are case-sensitive (RFC 9110 §9.1), and servers register theirs in capitals; those that exist count in any
# case. The target is looked at, not taken: it may hold the method of a next one.
_ASKED = re.compile(
    rb"[A-Za-z](?=[\x00-\x20])"
    rb"(?:(?<=[A-Z])|(?<=(?i:get|put))|(?<=(?i:head|post))|(?<=(?i:patch|query|trace))|(?<=(?i:delete))"
    rb"|(?<=(?i:options|connect)))[\x00-\x20]++(?=([^ \r\n]*+))"
)
_METHOD = re.compile(rb"[A-Za-z-]*\Z")
_SAYS_WHERE = re.compile(rb"[/\\%]|[A-Za-z][A-Za-z0-9+.\-]*:")

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
        for asked in _ASKED.finditer(text):
            target = asked[1]
            if not _SAYS_WHERE.match(target) and target:
                continue
            if asked.end(1) == len(text):
                if len(target) > MOST_TARGET_BYTES:
                    return True
                rest = rest or text[: asked.start() + 1][-_KEEP:] + b" " + target
            elif len(target) > MOST_TARGET_BYTES or self._refuses(self._method(text, asked.start() + 1), target):
                return True
        self._tail = rest or text[-_KEEP:]
        return False

    @staticmethod
    def _method(text: bytes, end: int) -> str:
        word = _METHOD.search(text, max(0, end - _KEEP), end)
        return word[0].decode("ascii") if word is not None else ""
