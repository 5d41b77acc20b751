"""OpenTelemetry's JavaScript SDK, over HTTP with JSON and protobuf: what it sends is what the telemetry store holds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.node_programs import own, run_together
from tests.support.telemetry_stores import ALL, RunningStore, telemetry_store


@pytest.fixture(scope="module")
def store() -> Iterator[RunningStore]:
    with telemetry_store() as running:
        yield running


@pytest.mark.parametrize("protocol", ["http", "proto"])
def test_what_the_javascript_sdk_sends_is_stored(store: RunningStore, protocol: str, tmp_path: Path) -> None:
    (ended,) = run_together([[*own("otlp_sender.mjs"), protocol, store.http]], home=tmp_path)
    assert ended.code == 0, ended
    service = f"node-{protocol}"
    found = store.ask(lambda client: client.trace(ended.stdout.strip(), 9))
    root, inner = sorted(found.spans, key=lambda span: bool(span.parent_span_id))  # both began in one millisecond
    assert (root.name, root.kind, root.service, root.resource["service.version"]) == (
        *("POST /orders", "server", service),
        "2.0.0",
    )
    assert root.attributes == {"text": "ünïcode", "whole": "42", "real": "0.5", "yes": "true", "list": '["a","b"]'}
    assert (inner.parent_span_id, inner.status, inner.status_message) == (root.span_id, "error", "card declined")
    (exception,) = inner.events
    assert exception.attributes["exception.message"] == "card declined"
    assert found.logs == {inner.span_id: 1}
    (record,) = [
        each for each in store.ask(lambda client: client.logs(ALL, order="latest", limit=9)) if each.service == service
    ]
    assert (record.body, record.severity, record.attributes) == ("order failed", 17, {"order": "7"})
    metrics = store.ask(lambda client: client.metrics(ALL, about=None, limit=9))
    kinds = {(metric.name, metric.kind) for metric in metrics if service in metric.services}
    assert kinds == {("orders", "sum"), ("latency", "histogram"), ("level", "gauge")}
