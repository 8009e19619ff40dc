"""Where a client's trace stands: the ``traceparent`` header of W3C Trace Context (https://www.w3.org/TR/trace-context/).

The relay carries the header's text; whoever needs an identity reads it here. A header that breaks the specification
counts as none: its request is served and observed all the same.
"""

from __future__ import annotations

import re

import msgspec

_HEADER = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


class TraceParent(msgspec.Struct, frozen=True):
    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 hexadecimal digits: the client's span."""
    sampled: bool
    """The client keeps its trace, so that a span of ours has a place."""


def traceparent(header: str) -> TraceParent | None:
    """Read the header; None when it is absent or breaks the specification. Later versions may append fields."""
    found = _HEADER.fullmatch(header)
    if found is None or (found[1] == "00" and found[5]):
        return None
    return TraceParent(found[2], found[3], bool(int(found[4], 16) & 1))
