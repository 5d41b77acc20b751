"""compose.yaml: the profile `replicas` has what replicas share, and takes its secrets from the environment."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.support.nginx import checked, configuration_of
from tests.support.processes import LOOPBACK, PROJECT
from tfo_mcp.infrastructure.config.reference import settings_by_name

SERVICES: Mapping[str, Mapping[str, Any]] = yaml.safe_load((PROJECT / "compose.yaml").read_text())["services"]
SECRETS = (
    *("TFO_MCP_POSTGRES_PASSWORD", "TFO_MCP_REDIS_PASSWORD", "TFO_MCP_NATS_PASSWORD"),
    *("TFO_MCP_STATE_KEY", "TFO_MCP_KEY_PEPPER"),
)


def replicated() -> dict[str, Mapping[str, Any]]:
    """Return the services of the profile."""
    return {name: service for name, service in SERVICES.items() if service.get("profiles") == ["replicas"]}


def test_the_profile_has_two_replicas_and_all_that_they_need() -> None:
    assert set(replicated()) == {"replica", "migrate", "balancer", "postgres", "redis", "nats"}
    assert SERVICES["replica"]["deploy"] == {"replicas": 2}
    assert set(SERVICES["replica"]["depends_on"]) == {"migrate", "redis", "nats"}
    assert set(SERVICES["migrate"]["depends_on"]) == {"postgres"}
    assert set(SERVICES["balancer"]["depends_on"]) == {"replica"}
    assert [name for name, service in replicated().items() if service.get("ports")] == ["balancer"]


def test_the_replicas_are_the_same_server_with_shared_state() -> None:
    server, replica, migrate = (SERVICES[name] for name in ("tfo-mcp", "replica", "migrate"))
    differs = {key for key in {*server, *replica} if server.get(key) != replica.get(key)}
    assert differs == {"profiles", "ports", "deploy", "environment", "depends_on"}
    assert migrate["environment"] == replica["environment"]
    known = {name for setting in settings_by_name().values() for name in setting.variables}
    assert set(replica["environment"]) <= known
    shared = {
        "STORAGE_URL",
        "STATE_URL",
        "EVENTS_URL",
        "MCP_STATE_KEY",
        "SECURITY_KEY_PEPPER",
        "SERVER_TRUSTED_PROXIES",
    }
    added = set(replica["environment"]) - set(server["environment"])
    assert added == {f"TELEMETRYFLOW_MCP_{name}" for name in shared}


def test_secrets_come_from_the_environment_and_are_explained() -> None:
    text = (PROJECT / "compose.yaml").read_text()
    used = set(re.findall(r"\$\{(TFO_MCP_\w+)", yaml.safe_dump(replicated())))
    assert used == {*SECRETS, "TFO_MCP_OTLP_ENDPOINT", "TFO_MCP_WORKSPACE"}
    header = text.partition("services:")[0]
    assert [name for name in SECRETS if name not in header] == []


def test_nginx_accepts_what_the_balancer_makes_of_the_documented_configuration(tmp_path: Path) -> None:
    balancer = SERVICES["balancer"]
    (mount,) = balancer["volumes"]
    assert mount.split(":")[:2] == ["./deploy/nginx/tfo-mcp.conf", "/etc/nginx/templates/tfo-mcp.conf.template"]
    values = {name: value for name, value in balancer["environment"].items() if name.startswith("TFO_MCP_")}
    assert balancer["environment"]["NGINX_ENVSUBST_FILTER"] == "TFO_MCP_"
    values["TFO_MCP_SERVERS"] = values["TFO_MCP_SERVERS"].replace("replica:", f"{LOOPBACK}:")  # no such name here
    assert "test is successful" in checked(configuration_of(tmp_path, values))


def test_nats_accepts_its_configuration_and_asks_for_the_password(tmp_path: Path) -> None:
    nats = SERVICES["nats"]
    assert "./deploy/nats/tfo-mcp.conf:/etc/nats/tfo-mcp.conf:ro" in nats["volumes"]
    text = (PROJECT / "deploy" / "nats" / "tfo-mcp.conf").read_text()
    assert "sync_interval: always" in text
    file = tmp_path / "nats.conf"
    file.write_text(text.replace("/data", str(tmp_path)))
    line = [str(Path(sys.executable).with_name("nats-server")), "--config", str(file), "-t"]
    done = subprocess.run(line, env={"NATS_PASSWORD": "secret"}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    missing = subprocess.run(line, env={}, capture_output=True, text=True, check=False)
    assert missing.returncode != 0
