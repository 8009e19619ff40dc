"""What all our HTTP clients have in common, whoever they call.

We call seldom: a scrape every few seconds, a notice a day. Servers close idle connections, and one that was kept meets
that close half-way sooner or later; the reading or the notice of that moment is lost. So no connection is kept.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from types import MappingProxyType

import httpx

NO_KEEP_ALIVE = httpx.Limits(max_keepalive_connections=0)
CLOSE: Mapping[str, str] = MappingProxyType({"connection": "close"})
"""The header that goes with it: the server closes first, and the port that waits is not ours."""


def is_local(address: str) -> bool:
    """The address is on this machine: no proxy of the environment belongs between. What is no address is not."""
    try:
        return is_local_host(httpx.URL(address).host)
    except (httpx.InvalidURL, ValueError):
        return False


def is_local_host(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
