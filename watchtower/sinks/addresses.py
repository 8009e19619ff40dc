"""Which addresses a sink may be sent to. What is said about one never quotes it."""

from __future__ import annotations

import httpx

from watchtower.http_clients import is_local


def mistake_in(address: str, *, clear_text: bool = False) -> tuple[str, str] | None:
    """(what is wrong, how to mend it), or None. ``clear_text``: http:// is good enough for other machines too."""
    try:
        url = httpx.URL(address)
    except (httpx.InvalidURL, ValueError):
        return "is not a URL", "write https://…"
    if not url.host or url.scheme not in ("https", "http"):
        return "is not an https address", "write https://…"
    if url.scheme == "http" and not clear_text and not is_local(address):
        return "sends alerts in the clear", "use https:// (http:// only to this machine)"
    return None
