"""Who may change things: whoever came in by the local Unix socket, or knows the token.

Which of the two faces a request came in by is fixed when the application is made, one for each listener: a server
cannot tell reliably, because a TCP client that has reset its connection has no peer address either.
"""

from __future__ import annotations

import hmac

from starlette.exceptions import HTTPException
from starlette.requests import Request

from watchtower.settings import WebSettings


class Permission:
    def __init__(self, settings: WebSettings, *, local: bool) -> None:
        """``local``: this is the Unix socket's face; its file mode is the permission."""
        self._token = settings.token.get_secret_value() if settings.token else ""
        self._local = local

    def need(self, request: Request) -> None:
        """Raises HTTPException 403 for a request that may only look."""
        if self._local:
            return
        given = request.headers.get("authorization", "")
        if self._token and hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
            return
        cure = "send Authorization: Bearer <web.token>" if self._token else "use the watchtower command on this machine"
        raise HTTPException(403, f"changes over TCP need the token; {cure}")
