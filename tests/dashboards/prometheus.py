"""A real Prometheus for tests: one server on a free loopback port, scraping one target every second.

Its data directory may be kept and served again later, so that pictures can be drawn long after the run.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from watchtower.lab.demonstration.stage import free_port

BINARY = shutil.which("prometheus")
SCRAPE_SECONDS = 1
START_SECONDS = 60.0


class QueryRefused(AssertionError):
    """Prometheus answered a query with an error; the text is its own."""


@dataclass(frozen=True)
class Prometheus:
    """The HTTP API of a running server."""

    url: str

    def instant(self, expression: str, at: float) -> list[dict[str, Any]]:
        return self._ask("query", query=expression, time=at)

    def over(self, expression: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        return self._ask("query_range", query=expression, start=start, end=end, step=step)

    def newest(self, metric: str = "watchtower_evaluations_total") -> tuple[float, str]:
        """Unix time of the newest sample of ``metric``, and the instance that it is of."""
        found = self._ask("query", query=f"{metric}[12h]", time=time.time())
        return max((float(result["values"][-1][0]), result["metric"]["instance"]) for result in found)

    def _ask(self, what: str, **parameters: str | float) -> list[dict[str, Any]]:
        answer = httpx.post(f"{self.url}/api/v1/{what}", data=parameters, timeout=30, trust_env=False)
        document = answer.json()
        if document["status"] != "success":
            raise QueryRefused(f"{parameters['query']}\n{document['errorType']}: {document['error']}")
        result: list[dict[str, Any]] = document["data"]["result"]
        return result


@contextmanager
def prometheus(directory: Path, *targets: str) -> Iterator[Prometheus]:
    """Scrape ``targets`` (host:port) as job ``watchtower`` until the block ends; samples lie in ``directory``."""
    assert BINARY is not None
    scrape = {"job_name": "watchtower", "static_configs": [{"targets": list(targets)}]}
    config = directory / "prometheus.yml"
    timing = {"scrape_interval": f"{SCRAPE_SECONDS}s", "scrape_timeout": f"{SCRAPE_SECONDS}s"}
    config.write_text(yaml.safe_dump({"global": timing, "scrape_configs": [scrape]}))
    address = f"127.0.0.1:{free_port()}"
    command = [BINARY, f"--config.file={config}", f"--storage.tsdb.path={directory / 'samples'}"]
    command += [f"--web.listen-address={address}", "--enable-feature=exemplar-storage", "--log.level=warn"]
    with (directory / "prometheus.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait_ready(f"http://{address}", process)
        yield Prometheus(f"http://{address}")
    finally:
        process.terminate()
        process.wait(30)


def _wait_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "prometheus ended"
        try:
            if httpx.get(f"{url}/-/ready", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("prometheus was not ready in time")
