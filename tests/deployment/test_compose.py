"""The compose stacks: safe by default, complete, and honest about who may talk to whom."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.deployment.files import DOCKER, EXAMPLES, ROOT, read

STACK = DOCKER / "compose.yaml"
STACKS = (STACK, EXAMPLES / "compose" / "compose.yaml")
NOT_MADE_HERE = {"dashboards", "rules/prometheus", "docker/grafana/provisioning"}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = read(STACK)["services"]
    return found


@pytest.mark.parametrize("file", STACKS, ids=lambda file: str(file.relative_to(ROOT)))
def test_docker_compose_accepts_it(file: Path) -> None:
    plugin = (
        shutil.which("docker")
        and not subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode
    )
    if not plugin:
        pytest.skip("there is no docker compose here")
    subprocess.run(["docker", "compose", "-f", file, "config", "--quiet"], check=True)


def test_every_port_of_the_stack_is_published_on_loopback_alone(services: dict[str, Any]) -> None:
    published = [port for service in services.values() for port in service.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


@pytest.mark.parametrize("name", read(STACK)["services"])
def test_every_service_is_read_only_without_capabilities_and_bounded(name: str, services: dict[str, Any]) -> None:
    service = services[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert "healthcheck" in service or "build" in service, "ours bring their own check"


def test_every_image_that_is_not_ours_is_pinned_by_a_version() -> None:
    foreign = [service["image"] for file in STACKS for service in read(file)["services"].values()]
    foreign = [image for image in foreign if not image.startswith("watchtower")]
    assert foreign
    assert all(image.rpartition(":")[2].lstrip("v")[0].isdigit() for image in foreign), foreign


def test_what_is_mounted_exists(services: dict[str, Any]) -> None:
    named = set(read(STACK)["volumes"])
    for service in services.values():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            if source in named:
                continue
            path = (DOCKER / source).resolve()
            assert path.exists() or str(path.relative_to(ROOT)) in NOT_MADE_HERE, source


def test_whoever_is_waited_for_can_be_judged(services: dict[str, Any]) -> None:
    for service in services.values():
        for name, wish in service.get("depends_on", {}).items():
            assert wish == {"condition": "service_healthy"}
            assert services[name].get("healthcheck", {}) != {"disable": True}


def test_the_relay_outlives_the_daemons_container(services: dict[str, Any]) -> None:
    daemon, relay = services["watchtower"], services["relay"]
    assert daemon["pid"] == "service:relay", "the daemon names workers by pid"
    assert daemon["command"] == ["run"], "--own-everything would end the relay with it"
    assert daemon["volumes"] == relay["volumes"], "locks and sockets lie in the state directory"
    assert daemon["depends_on"]["relay"], "or the daemon would start a worker of its own"


def test_prometheus_scrapes_the_daemon_and_alerts_where_alertmanager_listens() -> None:
    prometheus = read(DOCKER / "prometheus" / "prometheus.yml")
    (scrape,) = prometheus["scrape_configs"]
    assert scrape["static_configs"] == [{"targets": ["watchtower:9470"]}]
    (alerts,) = prometheus["alerting"]["alertmanagers"]
    assert alerts["static_configs"] == [{"targets": ["alertmanager:9093"]}]
    alertmanager = read(DOCKER / "alertmanager" / "alertmanager.yml")
    assert alertmanager["route"]["receiver"] in {receiver["name"] for receiver in alertmanager["receivers"]}


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("promtool", ["check", "config", "--syntax-only", str(DOCKER / "prometheus" / "prometheus.yml")]),
        ("amtool", ["check-config", str(DOCKER / "alertmanager" / "alertmanager.yml")]),
    ],
)
def test_their_own_tools_accept_the_configurations(tool: str, arguments: list[str]) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    checked = subprocess.run([tool, *arguments], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
