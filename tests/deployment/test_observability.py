"""deploy/observability: rules, queries and configurations are valid and use existing metrics."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.processes import PROJECT

PLACE = PROJECT / "deploy" / "observability"
RULES = yaml.safe_load((PLACE / "alerts.yaml").read_text())
DASHBOARD = json.loads((PLACE / "grafana" / "dashboards" / "tfo-mcp.json").read_text())
OPERATIONS = (PROJECT / "docs" / "operations.md").read_text()
TELEMETRY = (PROJECT / "docs" / "telemetry.md").read_text()
METRIC = re.compile(r"\b((?:mcp_server|gen_ai_client|tfo_mcp)_[a-z_]+)")


def alerts() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [rule for group in RULES["groups"] for rule in group["rules"]]
    return found


def queries() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    tool = shutil.which("promtool")
    assert tool is not None, "promtool is missing: run `make test-deps`"
    return subprocess.run([tool, *arguments], capture_output=True, text=True, check=False)


def documented() -> set[str]:
    """Return the Prometheus names of the metrics of docs/telemetry.md."""
    found = re.search(r"<!-- metrics -->\n(.*?)<!-- /metrics -->", TELEMETRY, re.DOTALL)
    assert found is not None
    names = set()
    for line in found[1].splitlines()[2:]:
        name, unit, kind = (cell.strip().strip("`") for cell in line.strip("|").split("|")[:3])
        plain = name.replace(".", "_") + ("_seconds" if unit == "s" else "")
        suffixes = {"histogram": ("_bucket", "_count", "_sum"), "sum": ("_total",), "gauge": ("",)}[kind]
        names |= {plain + suffix for suffix in suffixes}
    return names


def test_the_rules_and_the_configuration_are_valid() -> None:
    for arguments in (("check", "rules", PLACE / "alerts.yaml"), ("check", "config", PLACE / "prometheus.yaml")):
        done = promtool(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboards_queries_are_valid(tmp_path: Path) -> None:
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries())]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    done = promtool("check", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


def test_whatever_is_asked_for_is_a_metric_that_there_is() -> None:
    asked = {name for text in (*queries(), *(rule["expr"] for rule in alerts())) for name in METRIC.findall(text)}
    assert asked
    assert asked <= documented()


def test_every_metric_of_the_server_is_on_the_dashboard_or_behind_an_alert() -> None:
    asked = {name for text in (*queries(), *(rule["expr"] for rule in alerts())) for name in METRIC.findall(text)}
    families = {re.sub(r"_(bucket|count|sum|total)$", "", name) for name in documented()}
    assert families == {re.sub(r"_(bucket|count|sum|total)$", "", name) for name in asked}


def test_the_operators_rules_are_the_same() -> None:
    rule = yaml.safe_load((PROJECT / "k8s" / "overlays" / "full" / "prometheusrule.yaml").read_text())
    assert rule["spec"]["groups"] == RULES["groups"]


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: str(rule["alert"]))
def test_each_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"]
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert f"\n### {rule['annotations']['runbook']}\n" in OPERATIONS


def test_compose_mounts_what_is_there() -> None:
    compose = yaml.safe_load((PROJECT / "compose.yaml").read_text())
    places = [
        volume.split(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", ())
        if volume.startswith("./")
    ]
    assert places
    for place in places:
        assert (PROJECT / place).exists(), place
    server = compose["services"]["tfo-mcp"]
    assert (server["read_only"], server["cap_drop"]) == (True, ["ALL"])
    observing = [name for name, service in compose["services"].items() if service.get("profiles") == ["observability"]]
    assert observing == ["collector", "prometheus", "grafana"]
