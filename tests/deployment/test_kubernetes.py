"""k8s/: each overlay renders valid objects, and pods have minimal privileges."""

import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from tests.support.processes import PROJECT, command, environment

OVERLAYS = ("minimal", "full")
OF_OPERATORS = {"PrometheusRule", "ServiceMonitor"}  # custom resources without a schema in Kubernetes
SHARED = {
    "TELEMETRYFLOW_MCP_STORAGE_URL": "tfo-mcp-postgresql",
    "TELEMETRYFLOW_MCP_STATE_URL": "tfo-mcp-redis",
    "TELEMETRYFLOW_MCP_EVENTS_URL": "tfo-mcp-nats",
}
MINIMAL = {"ConfigMap", "Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service", "ServiceAccount"}


@cache
def rendered(overlay: str) -> tuple[Mapping[str, Any], ...]:
    """Return the objects of an overlay, as kubectl renders them."""
    kubectl = shutil.which("kubectl")
    assert kubectl is not None, "kubectl is missing: run `make test-deps`"
    folder = PROJECT / "k8s" / "overlays" / overlay
    done = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def one(overlay: str, kind: str) -> Mapping[str, Any]:
    (found,) = [thing for thing in rendered(overlay) if thing["kind"] == kind]
    return found


def all_of(overlay: str, kind: str) -> list[Mapping[str, Any]]:
    return [thing for thing in rendered(overlay) if thing["kind"] == kind]


def pod(overlay: str) -> Mapping[str, Any]:
    spec: Mapping[str, Any] = one(overlay, "Deployment")["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_object_is_valid(overlay: str) -> None:
    version = kubernetes_validate.latest_version()
    for thing in rendered(overlay):
        if thing["kind"] not in OF_OPERATORS:
            kubernetes_validate.validate(thing, version, strict=True)
        assert thing["metadata"]["namespace"] == "tfo-mcp"


def test_the_overlays_hold_what_they_are_for() -> None:
    kinds = {overlay: {thing["kind"] for thing in rendered(overlay)} for overlay in OVERLAYS}
    assert kinds["minimal"] == MINIMAL
    assert kinds["full"] == MINIMAL | OF_OPERATORS | {
        *("HorizontalPodAutoscaler", "Ingress", "PersistentVolumeClaim"),
    }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_are_restricted(overlay: str) -> None:
    """Pods fulfil the restricted profile of the Pod Security Standards."""
    spec = pod(overlay)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"]
        assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_pod_has_time_to_leave(overlay: str) -> None:
    spec = pod(overlay)
    (container,) = spec["containers"]
    paths = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")}
    assert paths == {"startup": "/readyz", "readiness": "/readyz", "liveness": "/healthz"}
    until_told = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain_seconds = 30
    assert spec["terminationGracePeriodSeconds"] > until_told + drain_seconds


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_secrets_are_only_named(overlay: str) -> None:
    assert "Secret" not in {thing["kind"] for thing in rendered(overlay)}
    (container,) = pod(overlay)["containers"]
    (settings,) = [source["configMapRef"]["name"] for source in container["envFrom"] if "configMapRef" in source]
    assert settings == one(overlay, "ConfigMap")["metadata"]["name"]
    assert [source["secretRef"]["name"] for source in container["envFrom"] if "secretRef" in source] == ["tfo-mcp"]


def test_the_full_overlay_scales_what_it_has_and_leads_streams_through() -> None:
    target = one("full", "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert target["name"] == one("full", "Deployment")["metadata"]["name"]
    assert "replicas" not in one("full", "Deployment")["spec"]
    assert one("full", "HorizontalPodAutoscaler")["spec"]["minReplicas"] == 2
    hosts = one("full", "ConfigMap")["data"]["TELEMETRYFLOW_MCP_SERVER_ALLOWED_HOSTS"].split(",")
    ingress = one("full", "Ingress")
    assert ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-buffering"] == "off"
    assert {rule["host"] for rule in ingress["spec"]["rules"]} <= set(hosts)


def test_clients_are_sticky_without_redis_only() -> None:
    assert one("minimal", "Service")["spec"]["sessionAffinity"] == "ClientIP"
    assert one("full", "Service")["spec"]["sessionAffinity"] == "None"
    ingress = one("full", "Ingress")
    assert "nginx.ingress.kubernetes.io/upstream-hash-by" not in ingress["metadata"]["annotations"]
    assert [path["path"] for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]] == ["/"]


def test_the_replicas_share_a_database_a_redis_a_nats_and_their_files() -> None:
    spec = pod("full")
    (container,) = spec["containers"]
    assert references(container) == SHARED
    (workspace,) = [volume for volume in spec["volumes"] if volume["name"] == "workspace"]
    claim = one("full", "PersistentVolumeClaim")
    assert workspace == {"name": "workspace", "persistentVolumeClaim": {"claimName": claim["metadata"]["name"]}}
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    ports = {rule["port"] for policy in one("full", "NetworkPolicy")["spec"]["egress"] for rule in policy["ports"]}
    assert {5432, 6379, 26379, 4222} <= ports


def test_the_schema_is_migrated_before_a_server_starts() -> None:
    (migrate,) = pod("full")["initContainers"]
    (container,) = pod("full")["containers"]
    assert (migrate["image"], migrate["envFrom"]) == (container["image"], container["envFrom"])
    assert references(migrate) == {"TELEMETRYFLOW_MCP_STORAGE_URL": "tfo-mcp-postgresql"}
    subprocess.run([*command(), *migrate["args"], "--help"], check=True, capture_output=True, env=environment())


def references(container: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of a container that come from secrets, and the names of these."""
    return {each["name"]: each["valueFrom"]["secretKeyRef"]["name"] for each in container["env"]}


def test_every_setting_that_is_named_exists() -> None:
    from tfo_mcp.infrastructure.config.reference import settings_by_name

    known = {name for setting in settings_by_name().values() for name in setting.variables}
    for overlay in OVERLAYS:
        assert set(one(overlay, "ConfigMap")["data"]) <= known
