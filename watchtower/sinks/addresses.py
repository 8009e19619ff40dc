"""Which addresses a sink may be sent to. What is said about one never quotes it."""

from __future__ import annotations

import ipaddress

import httpx


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


def is_local(address: str) -> bool:
    """The address is on this machine."""
    return is_local_host(httpx.URL(address).host)


def is_local_host(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
