"""Stored telemetry over the network: who may read it, and whose records appear in answers."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.authorization_server import AUDIENCE, ISSUER, AuthorizationServer, authorization_server
from tests.support.guarded import Guarded, guarded
from tests.support.metric_records import metric, point, send_metrics
from tests.support.otlp_json import send_records
from tests.support.telemetry_records import TRACE_ID, shop_logs, shop_trace
from tests.support.telemetry_stores import RunningStore, telemetry_store

PERIOD = {"from": "2025-11-29T09:00:00Z", "to": "2025-11-29T10:10:00Z"}
SECRET = "globex"
EVERY_CALL: list[tuple[str, dict[str, Any]]] = [
    *(("telemetry_overview", {"focus": focus, **PERIOD}) for focus in ("all", "errors", "slo")),
    ("telemetry_overview", {"service": SECRET, "from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z"}),
    *(("find_fields", {"signal": signal, **PERIOD}) for signal in ("traces", "logs", "metrics")),
    *(("search_traces", {"order": order, **PERIOD}) for order in ("slowest", "latest", "errors", "diverse")),
    ("search_traces", {"where": "`tenant.id` = glob", **PERIOD}),
    ("search_traces", {"from": "version:9.9"}),
    *(("get_trace", {"trace_id": TRACE_ID, "show": show}) for show in ("tree", "critical_path", "errors")),
    *(("search_logs", {"show": show, "budget": 20_000, **PERIOD}) for show in ("patterns", "lines")),
    ("search_logs", {"trace_id": TRACE_ID}),
    ("search_logs", {"text": "no such text", **PERIOD}),
    *(("aggregate", {"of": of, "by": ["service.name", "tenant.id"], **PERIOD}) for of in ("traces", "logs")),
    ("aggregate", {"by": ["unknown"], "every": "5m", **PERIOD}),
    ("query_metrics", {"metric": "requests", "by": ["service.name", "tenant.id"], **PERIOD}),
    ("query_metrics", {"metric": "glob", **PERIOD}),
    ("query_metrics", {"metric": "no such metric", **PERIOD}),
    ("query_metrics", {"metric": "requests", "where": "`tenant.id` = glob", **PERIOD}),
    *(
        ("query_metrics", {"promql": promql, **PERIOD})
        for promql in ("requests", "sum(glob)", 'requests{tenant_id=~"glob.*"}', "count by (at) (requests)")
    ),
    ("service_map", PERIOD),
    ("service_map", {"around": "nobody", **PERIOD}),
    ("compare", PERIOD),
    ("compare", {**PERIOD, "baseline": f"{PERIOD['from']}/{PERIOD['to']}"}),
]
RESOURCES = ["telemetry://services", "telemetry://errors", "analytics://summary", f"telemetry://trace/{TRACE_ID}"] + [
    f"telemetry://schema/{signal}" for signal in ("traces", "logs", "metrics")
]


@pytest.fixture(scope="module")
def store() -> Iterator[RunningStore]:
    """Yield a store with the records of two tenants; those of globex name it wherever text can be, and lie about it."""
    acme = {"tenant.id": "acme"}
    globex = {"tenant.id": SECRET, "service.version": f"1-{SECRET}"}
    lie = {"tenant.id": "acme", "resource.tenant.id": "acme", SECRET: SECRET}
    with telemetry_store({"max_age_seconds": 10**9}) as running:
        spans = [replace(each, resource=acme) for each in shop_trace(5)]
        spans += [
            replace(
                each,
                service=f"{each.service}-{SECRET}",
                name=f"{SECRET} {each.name}",
                span_id=f"f{each.span_id[1:]}",
                status="error",
                status_message=SECRET,
                resource=globex,
                attributes=lie,
            )
            for each in shop_trace(5)  # in the same trace, below spans of acme
        ]
        logs = [replace(each, resource=acme) for each in shop_logs(200)]
        logs += [
            replace(
                each, service=SECRET, body=f"{SECRET} {each.body}", trace_id=TRACE_ID, resource=globex, attributes=lie
            )
            for each in shop_logs(200)
        ]
        send_records(running.http, spans, logs)
        for tenant, name in ((acme, "orders"), (globex, f"orders-{SECRET}")):
            points = [
                point(time, attributes={**(lie if tenant is globex else {}), "at": tenant["tenant.id"]}, asDouble=time)
                for time in (-60, 0, 60)
            ]
            metrics = [metric("requests", "gauge", points), metric(tenant["tenant.id"], "gauge", points)]
            send_metrics(running.http, {"service.name": name, **tenant}, metrics)
        yield running


@pytest.fixture(scope="module")
def issuer() -> Iterator[AuthorizationServer]:
    with authorization_server() as running:
        yield running


@pytest.fixture(scope="module")
def gate(
    store: RunningStore, issuer: AuthorizationServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guarded]:
    access = ["token:alice: tenant.id = acme", "claim:tenant: tenant.id = $claim"]
    oauth = {"issuer": ISSUER, "audience": AUDIENCE, "jwks_url": issuer.url}
    variables = {"XDG_STATE_HOME": os.fspath(store.home), "TELEMETRYFLOW_MCP_TELEMETRY_STORE": "embedded"}
    place: Path = tmp_path_factory.mktemp("gate")
    with guarded(
        place, variables, mcp={"plugins": []}, security={"oauth": oauth}, telemetry={"access": access}
    ) as running:
        yield running


def token(
    issuer: AuthorizationServer, subject: str, scope: str = "telemetry:read resources:read", **claims: Any
) -> str:
    return issuer.token(sub=subject, scope=scope, **claims)


def call(gate: Guarded, key: str, tool: str, arguments: dict[str, Any]) -> str:
    response = gate.stateless(key, "tools/call", {"name": tool, "arguments": arguments})
    assert response.status_code == 200, response.text
    return str(response.json()["result"]["content"][0]["text"])


@pytest.mark.parametrize("who", ["subject", "claim"])
def test_no_answer_holds_anything_of_another_tenant(gate: Guarded, issuer: AuthorizationServer, who: str) -> None:
    key = token(issuer, "alice") if who == "subject" else token(issuer, "bob", tenant="acme")
    answers = {json.dumps(one).replace(SECRET, ""): call(gate, key, *one) for one in EVERY_CALL}
    for uri in RESOURCES:
        read = gate.stateless(key, "resources/read", {"uri": uri})
        assert read.status_code == 200, read.text
        answers[uri] = read.text
    assert {question: answer for question, answer in answers.items() if SECRET in answer} == {}
    tree = call(gate, key, "get_trace", {"trace_id": TRACE_ID})
    assert "30 spans, 4 services, 2 errors" in tree
    assert "reserve item x5" in tree


def test_another_tenant_reads_its_own_records(gate: Guarded, issuer: AuthorizationServer) -> None:
    answer = call(gate, token(issuer, "eve", tenant=SECRET), "telemetry_overview", PERIOD)
    assert f"orders-{SECRET}" in answer
    assert "\norders," not in answer


@pytest.mark.parametrize("claim", ["", '" or true', "acme' OR '1'='1", "$claim", "%"])
def test_a_claim_is_compared_and_never_interpreted(gate: Guarded, issuer: AuthorizationServer, claim: str) -> None:
    key = token(issuer, "mallory", tenant=claim)
    assert call(gate, key, "telemetry_overview", PERIOD).startswith("No telemetry is stored yet.")


def test_a_caller_without_a_rule_reads_nothing(gate: Guarded, issuer: AuthorizationServer) -> None:
    key = token(issuer, "carol")
    assert call(gate, key, "telemetry_overview", PERIOD).startswith("No telemetry is stored yet.")
    assert "No trace" in call(gate, key, "get_trace", {"trace_id": TRACE_ID})


def test_without_the_scope_there_are_no_telemetry_tools_and_resources(
    gate: Guarded, issuer: AuthorizationServer
) -> None:
    key = token(issuer, "alice", "tools:read resources:read")
    tools = gate.stateless(key, "tools/list").json()["result"]["tools"]
    assert not {tool["name"] for tool in tools} & {tool for tool, _ in EVERY_CALL}
    assert gate.stateless(key, "tools/call", {"name": "service_map", "arguments": {}}).status_code == 403
    listed = gate.stateless(key, "resources/list").text + gate.stateless(key, "resources/templates/list").text
    assert "telemetry:" not in listed
    for uri in RESOURCES:
        refused = gate.stateless(key, "resources/read", {"uri": uri})
        assert refused.json()["error"]["data"]["kind"] == "resource_not_found", refused.text
    reference = {"ref": {"type": "ref/resource", "uri": "telemetry://schema/{signal}"}}
    completed = gate.stateless(key, "completion/complete", {**reference, "argument": {"name": "signal", "value": ""}})
    assert "error" in json.loads(completed.text)
