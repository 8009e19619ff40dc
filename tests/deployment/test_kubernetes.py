"""The manifests as kubectl renders them: valid for the API, restricted, and the way that the manual says.

There is no API server here. Built-in kinds are validated against Kubernetes' own OpenAPI schemas (kubernetes-validate);
PodMonitor, which is another project's kind, is judged by its structure alone.
"""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deployment.files import EXAMPLES, KUBERNETES, ROOT, read

OLDEST = "1.29"
"""Native sidecars are on by default from here on."""
LABEL = "watchtower-sidecar"
OVERLAYS = (*sorted((KUBERNETES / "overlays").iterdir()), EXAMPLES / "kubernetes")
GPU_WAYS = ("gpu-environment", "gpu-runtime-class", "gpu-nri", "gpu-dcgm")
Objects = list[dict[str, Any]]


@cache
def rendered(directory: Path) -> Objects:
    """Only to be read: several tests look at the same ones."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is needed to render the manifests")
    built = subprocess.run(["kubectl", "kustomize", directory], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return list(yaml.safe_load_all(built.stdout))


def with_components(directory: Path, *names: str) -> Objects:
    """The sidecar and ``names`` in the stand-in workload; ``directory`` must be inside the repository's tree."""
    parts = [f"../../{KUBERNETES.relative_to(ROOT)}/components/{name}" for name in ("sidecar", *names)]
    resources = [f"../../{KUBERNETES.relative_to(ROOT)}/{name}" for name in ("base", "workload")]
    copy = directory / "tree" / "any"
    copy.mkdir(parents=True)
    shutil.copytree(KUBERNETES, directory / KUBERNETES.relative_to(ROOT))
    (copy / "kustomization.yaml").write_text(yaml.safe_dump({"resources": resources, "components": parts}))
    return rendered(copy)


def only(objects: Objects, kind: str) -> dict[str, Any]:
    (found,) = [item for item in objects if item["kind"] == kind]
    return found


def pod(objects: Objects) -> dict[str, Any]:
    spec: dict[str, Any] = only(objects, "Deployment")["spec"]["template"]["spec"]
    return spec


def sidecar(objects: Objects) -> dict[str, Any]:
    found: dict[str, Any] = pod(objects)["initContainers"][0]
    assert found["name"] == "watchtower"
    return found


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
@pytest.mark.parametrize("version", [OLDEST, "1.37"])
def test_every_built_in_kind_is_valid_for_the_api(overlay: Path, version: str) -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
    for item in rendered(overlay):
        if item["kind"] != "PodMonitor":
            validate.validate(item, version, strict=True)


@pytest.mark.parametrize("way", [*GPU_WAYS, "egress", "kubelet-probe"])
def test_every_component_gives_valid_manifests_and_leaves_the_sidecar_whole(way: str, tmp_path: Path) -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
    objects = with_components(tmp_path, way)
    for item in objects:
        if item["kind"] != "PodMonitor":
            validate.validate(item, OLDEST, strict=True)
    assert sidecar(objects)["image"] == "watchtower"
    assert len(pod(objects)["initContainers"]) == len(pod(objects)["containers"]) == 1


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_the_sidecar_starts_first_stays_and_fits_the_restricted_profile(overlay: Path) -> None:
    objects = rendered(overlay)
    ours = sidecar(objects)
    assert ours["restartPolicy"] == "Always"
    assert ours["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert ours["resources"]["limits"] == ours["resources"]["requests"]
    assert not pod(objects).get("hostPID") and not pod(objects).get("shareProcessNamespace")
    mounted = {mount["name"] for mount in ours["volumeMounts"]}
    assert mounted <= {volume["name"] for volume in pod(objects)["volumes"]}


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_nothing_may_call_the_api_and_nobody_takes_a_second_gpu(overlay: Path) -> None:
    objects = rendered(overlay)
    assert not {item["kind"] for item in objects} & {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"}
    assert pod(objects)["automountServiceAccountToken"] is False
    assert "nvidia.com/gpu" not in str(sidecar(objects)["resources"])


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_no_probe_asks_for_what_is_not_there_yet(overlay: Path) -> None:
    """The engine starts after a native sidecar: a startup probe through it would never pass."""
    ours = sidecar(rendered(overlay))
    ports = {port["name"]: port["containerPort"] for port in ours["ports"]}
    for probe in ("startupProbe", "livenessProbe"):
        assert ours[probe]["httpGet"] == {"path": "/-/healthy", "port": "watchtower"}
    assert ours["readinessProbe"]["tcpSocket"] == {"port": "relay"}
    assert ports == {"relay": 8100, "watchtower": 9470}


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_clients_prometheus_and_the_policy_mean_the_same_ports_and_pods(overlay: Path) -> None:
    objects = rendered(overlay)
    labels = only(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert only(objects, "Service")["spec"]["selector"].items() <= labels.items()
    assert [port["targetPort"] for port in only(objects, "Service")["spec"]["ports"]] == [8100]
    monitor = only(objects, "PodMonitor")["spec"]
    assert monitor["selector"]["matchLabels"].items() <= labels.items()
    assert [end["port"] for end in monitor["podMetricsEndpoints"]] == ["watchtower"]
    policy = only(objects, "NetworkPolicy")["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    opened = [port["port"] for rule in policy["ingress"] for port in rule["ports"]]
    assert opened == [8100, 9470], "the engine's own port is not among them"


def test_the_four_ways_to_the_gpus_differ_as_they_must(tmp_path: Path) -> None:
    seen = {way: with_components(tmp_path / way, way) for way in GPU_WAYS}

    def environment(way: str) -> dict[str, Any]:
        return {
            variable["name"]: variable.get("value", variable.get("valueFrom"))
            for variable in sidecar(seen[way]).get("env", ())
        }

    runtime = {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "utility"}
    assert environment("gpu-environment") == runtime
    assert "runtimeClassName" not in pod(seen["gpu-environment"])
    assert environment("gpu-runtime-class") == runtime
    assert pod(seen["gpu-runtime-class"])["runtimeClassName"] == "nvidia"
    annotations = only(seen["gpu-nri"], "Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {"nvidia.cdi.k8s.io/container.watchtower": "management.nvidia.com/gpu=all"}
    assert environment("gpu-nri") == {}
    dcgm = environment("gpu-dcgm")
    assert dcgm["WATCHTOWER__HARDWARE__SOURCE"] == "dcgm"
    assert dcgm["WATCHTOWER__HARDWARE__DCGM_URL"] == "http://$(NODE_IP):9400/metrics"
    assert next(iter(dcgm)) == "NODE_IP", "a variable can only use those before it"


def test_a_changed_limit_does_not_roll_the_model_out_anew() -> None:
    name = only(rendered(KUBERNETES / "overlays" / "observe-only"), "ConfigMap")["metadata"]["name"]
    assert name == "watchtower-config"


def test_the_observing_overlay_cannot_touch_the_engine() -> None:
    objects = rendered(KUBERNETES / "overlays" / "observe-only")
    (engine,) = pod(objects)["containers"]
    assert "livenessProbe" not in engine
    ours = {mount["name"] for mount in sidecar(objects)["volumeMounts"]}
    assert not ours & {mount["name"] for mount in engine["volumeMounts"]}


def test_the_pod_monitor_says_what_the_exported_one_says() -> None:
    exported = ROOT / "rules" / "prometheus" / "operator" / "podmonitor.yaml"
    ours, theirs = read(KUBERNETES / "base" / "pod-monitor.yaml")["spec"], read(exported)["spec"]
    assert ours["selector"] == theirs["selector"]
    assert [end["port"] for end in ours["podMetricsEndpoints"]] == [
        end["port"] for end in theirs["podMetricsEndpoints"]
    ]


def test_the_files_of_the_workload_are_what_the_manual_shows() -> None:
    labels = read(KUBERNETES / "workload" / "deployment.yaml")["metadata"]["labels"]
    assert labels[LABEL] == "true", "this is how the components find it"
