"""Our own answers, in the OpenAI error shape. Each closes the connection, and none is ever sent into another answer.

``type`` and ``code`` are stable names for programs; the message is one sentence for a person and never carries
anything that the client sent.
"""

from __future__ import annotations

from typing import Final

import msgspec

_ERROR_TYPES: Final = {
    403: "permission_error",
    408: "timeout_error",
    502: "upstream_error",
    503: "overloaded_error",
}


class OwnAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One of the answers below."""

    status: int
    reason: str
    kind: str
    """``error.code`` and the kind in ``relay_caused_errors``."""
    message: str
    retry_after_seconds: int | None = None

    def wire(self, *, head_only: bool) -> bytes:
        """The whole response; ``head_only`` for a HEAD request."""
        body = msgspec.json.encode(
            {"error": {"message": self.message, "type": _ERROR_TYPES[self.status], "param": None, "code": self.kind}}
        )
        lines = [
            f"HTTP/1.1 {self.status} {self.reason}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            "Connection: close",
        ]
        if self.retry_after_seconds is not None:
            lines.append(f"Retry-After: {self.retry_after_seconds}")
        head = "\r\n".join([*lines, "", ""]).encode("ascii")
        return head if head_only else head + body


UNREACHABLE: Final = OwnAnswer(
    status=502,
    reason="Bad Gateway",
    kind="upstream_unreachable",
    message="The inference server does not accept connections.",
)
CLOSED: Final = OwnAnswer(
    status=502,
    reason="Bad Gateway",
    kind="upstream_closed",
    message="The inference server closed the connection before it answered.",
)
CONNECTION_LIMIT: Final = OwnAnswer(
    status=503,
    reason="Service Unavailable",
    kind="connection_limit",
    message="Too many connections; try again.",
    retry_after_seconds=1,
)
REQUEST_TIMEOUT: Final = OwnAnswer(
    status=408,
    reason="Request Timeout",
    kind="request_timeout",
    message="The request did not arrive in time.",
)
HOLD_FULL: Final = OwnAnswer(
    status=503,
    reason="Service Unavailable",
    kind="hold_full",
    message="The inference server is being restarted and no more requests may wait; try again.",
    retry_after_seconds=5,
)
HOLD_WAIT: Final = OwnAnswer(
    status=503,
    reason="Service Unavailable",
    kind="hold_wait",
    message="The inference server is being restarted and is not back yet; try again.",
    retry_after_seconds=5,
)
GUARDED: Final = OwnAnswer(
    status=403,
    reason="Forbidden",
    kind="guarded",
    message="This path controls the inference server and is refused here; relay.allow_paths can allow it.",
)
