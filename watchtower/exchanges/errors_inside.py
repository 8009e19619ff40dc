"""Errors that engines report inside a 200: what is one, and whose fault it is.

The HTTP status is long sent when a stream fails, so engines put what would have been the status into the error itself:
as ``code`` (or ``status``), an integer or its digits. FastChat and its kin have five digits, the first three of which
are the status. Some give no code and a type that stands for one.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from watchtower.vocabulary.errors import UNREADABLE
from watchtower.vocabulary.facts import Ending

_CALLERS_TYPES: Final = frozenset(
    {"invalid_request_error", "authentication_error", "permission_error", "not_found_error", "request_too_large"}
    | {"BadRequestError", "NotFoundError", "invalid_prompt", "exceed_context_size_error"}
)
_SHEDDING_TYPES: Final = frozenset({"rate_limit_error", "rate_limit_exceeded"})
_TOO_MANY: Final = 429


class _Flat(msgspec.Struct, gc=False):
    """An error that is the whole object."""

    object: Any = None
    type: Any = None
    message: Any = None
    code: Any = None
    status: Any = None


_decode_flat = msgspec.json.Decoder(_Flat).decode


def flat_error(payload: bytes | bytearray) -> dict[str, object] | None:
    """``payload`` is an object without an answer in it: the error that it is, or None."""
    try:
        flat = _decode_flat(payload)
    except UNREADABLE:
        return None
    status = _status(flat.code) or _status(flat.status)
    if "error" in (flat.object, flat.type) or (flat.message and status >= 400):
        return {"type": flat.type, "code": flat.code, "status": flat.status}
    return None


def blame(error: object) -> Ending:
    """REFUSED for the caller's mistakes, SHED for want of room, ERROR for all else."""
    if not isinstance(error, dict):
        return Ending.ERROR
    inner = error.get("error")
    if isinstance(inner, dict):
        return blame(inner)
    status = _status(error.get("code")) or _status(error.get("status"))
    if status == _TOO_MANY:
        return Ending.SHED
    if status:
        return Ending.REFUSED if 400 <= status < 500 else Ending.ERROR
    kinds = {kind for kind in (error.get("type"), error.get("code")) if isinstance(kind, str)}
    if kinds & _SHEDDING_TYPES:
        return Ending.SHED
    return Ending.REFUSED if kinds & _CALLERS_TYPES else Ending.ERROR


def _status(code: object) -> int:
    """The HTTP status that ``code`` stands for; 0: none."""
    if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) <= 5:
        code = int(code)
    if not isinstance(code, int) or isinstance(code, bool):
        return 0
    if 10_000 <= code < 60_000:
        code //= 100
    return code if 100 <= code < 600 else 0
