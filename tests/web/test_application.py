"""Everything that can be looked at is open."""

from __future__ import annotations

import httpx
import pytest

READS = ("/", "/assets/console.js", "/assets/console.css", "/metrics", "/-/healthy", "/-/ready")
API_READS = ("status", "incidents", "incidents/inc-2", "actions")


@pytest.mark.parametrize("path", [*READS, *(f"/api/v1/{name}" for name in API_READS)])
async def test_reads_are_open(tcp: httpx.AsyncClient, path: str) -> None:
    assert (await tcp.get(path)).status_code == 200
