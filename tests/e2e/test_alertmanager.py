"""A real Alertmanager: an incident fires at its receiver, is kept firing, and resolves."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import yaml

from tests.e2e.stack import free_port
from tests.sinks.receiver import Receiver, receiving
from tests.sinks.samples import ESCALATED, OPENED, RESOLVED, sink_settings
from watchtower.clock import SystemClock
from watchtower.sinks.alertmanager import AlertmanagerSink
from watchtower.vocabulary.incidents import Notice

PROGRAM = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def alertmanager(tmp_path: Path, port: int) -> Iterator[str]:
    if PROGRAM is None:
        pytest.skip("Alertmanager is not installed")
    own = free_port()
    config = {
        "route": {"receiver": "hook", "group_by": ["incident"], "group_wait": "100ms", "group_interval": "500ms"},
        "receivers": [{"name": "hook", "webhook_configs": [{"url": f"http://127.0.0.1:{port}/"}]}],
    }
    (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(config))
    command = [PROGRAM, f"--config.file={tmp_path}/alertmanager.yml", f"--storage.path={tmp_path}/data"]
    command += [f"--web.listen-address=127.0.0.1:{own}", "--cluster.listen-address="]
    with (tmp_path / "alertmanager.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{own}"
    finally:
        process.terminate()
        process.wait(20)


async def ready(address: str) -> None:
    async with httpx.AsyncClient() as client:
        while True:
            try:
                if (await client.get(f"{address}/-/ready")).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            await SystemClock().sleep(0.1)


async def heard(receiver: Receiver, status: str, severity: str) -> dict[str, Any]:
    """The first notification in which our alert has this status."""
    while True:
        for request in receiver.requests:
            for alert in json.loads(request.body)["alerts"]:
                if (alert["status"], alert["labels"]["severity"]) == (status, severity):
                    return dict(alert)
        await SystemClock().sleep(0.1)


def now(notice: Notice, **changes: Any) -> Notice:
    wall = SystemClock().now().wall
    return msgspec.structs.replace(notice, wall=wall, since=wall - 5, **changes)


@pytest.mark.timeout(300)
async def test_an_incident_fires_grows_worse_and_resolves_at_the_receiver(alertmanager: str, port: int) -> None:
    sink = AlertmanagerSink(sink_settings("alertmanager", urls=(alertmanager,)), SystemClock())
    async with receiving(port=port) as receiver, asyncio.timeout(300):
        await ready(alertmanager)
        assert (await sink.send(now(OPENED, severity="warn"), 1)).delivered
        fired = await heard(receiver, "firing", "warning")
        assert fired["annotations"]["summary"].startswith("WARNING · chat-7b: p95 per-token latency 254 ms")
        assert (await sink.send(now(ESCALATED), 1)).delivered
        assert (await heard(receiver, "firing", "critical"))["fingerprint"] != fired["fingerprint"]
        assert (await heard(receiver, "resolved", "warning"))["fingerprint"] == fired["fingerprint"]
        assert (await sink.resend()).delivered
        assert (await sink.send(now(RESOLVED), 1)).delivered
        ended = await heard(receiver, "resolved", "critical")
        assert ended["annotations"]["next_command"] == "watchtower explain inc-6349d2"
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{alertmanager}/api/v2/alerts?active=true")).json() == []
    await sink.close()
