"""Sends records of the telemetry port to a receiver as OTLP over HTTP with JSON, as JavaScript's exporters do."""

from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from tests.support.processes import NO_TLS
from tfo_mcp.builtin.telemetry.otlp_json import traces_data
from tfo_mcp.plugins.telemetry import Attributes, LogRecord, Span

_BATCH = 2000


def send_records(base_url: str, spans: Sequence[Span] = (), logs: Sequence[LogRecord] = ()) -> None:
    """Send spans and log records, and wait until they are acknowledged."""
    with httpx.Client(verify=NO_TLS, timeout=60) as client:
        for first in range(0, len(spans), _BATCH):
            _post(client, f"{base_url}/v1/traces", traces_data(spans[first : first + _BATCH]))
        for first in range(0, len(logs), _BATCH):
            _post(client, f"{base_url}/v1/logs", _logs_data(logs[first : first + _BATCH]))


def send_gauge(
    base_url: str, service: str, name: str, values: Sequence[tuple[int, float]], *, as_sum: bool = False
) -> None:
    """Send a gauge as pairs of time and value, or as a sum that also falls, and wait until it is acknowledged."""
    points = [{"timeUnixNano": str(time), "asDouble": value} for time, value in values]
    resource = {"attributes": _attributes({"service.name": service})}
    level = {"dataPoints": points}
    metrics = [
        {"name": name, "sum": {**level, "aggregationTemporality": 2}} if as_sum else {"name": name, "gauge": level}
    ]
    with httpx.Client(verify=NO_TLS, timeout=60) as client:
        body = {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": metrics}]}]}
        _post(client, f"{base_url}/v1/metrics", body)


def _post(client: httpx.Client, url: str, body: Mapping[str, Any]) -> None:
    response = client.post(url, json=body)
    assert response.status_code == 200, response.text
    assert not response.json().get("partialSuccess"), response.text


def _logs_data(records: Sequence[LogRecord]) -> Mapping[str, Any]:
    return {
        "resourceLogs": [
            {
                "resource": {"attributes": _attributes({"service.name": record.service, **record.resource})},
                "scopeLogs": [
                    {
                        "logRecords": [
                            {
                                "timeUnixNano": str(record.time),
                                "severityNumber": record.severity,
                                "severityText": record.severity_text,
                                "body": {"stringValue": record.body},
                                "attributes": _attributes(record.attributes),
                                "traceId": record.trace_id,
                                "spanId": record.span_id,
                            }
                        ]
                    }
                ],
            }
            for record in records
        ]
    }


def _attributes(attributes: Attributes) -> list[Mapping[str, Any]]:
    return [{"key": key, "value": {"stringValue": str(value)}} for key, value in attributes.items()]
