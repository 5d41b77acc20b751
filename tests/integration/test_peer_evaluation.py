"""What the comparison with other servers rests on: metrics derived from spans in a real Prometheus, and the judging."""

import pytest

from bench.evaluation.archive import Gauge
from bench.evaluation.causes import Fault
from bench.evaluation.day import Day
from bench.evaluation.peers.prometheus import loaded_prometheus
from bench.evaluation.peers.session import contains
from tests.support.prometheus import Prometheus
from tfo_mcp.application.ports.telemetry_store import LogRecord, Span

BEGIN = 1_675_000_020 * 10**9  # the beginning of a minute
MINUTE = 60 * 10**9
END = 1_675_000_020 + 120
"""The end of the second minute, in seconds."""
POD = {"k8s.pod.name": "cart-6d4cf56db6-9xk2p"}


def day() -> Day:
    """Return two minutes of two services: 10 requests in the first one, each with a call, and 30 in the second one."""
    spans = []
    for number in range(40):
        start = BEGIN + number if number < 10 else BEGIN + MINUTE + number
        trace, duration = f"{number:032x}", (number + 1) * 10**6
        spans.append(Span(trace, f"{number:015x}a", "", "shop", "/cart", start, duration, "server", resource=POD))
        spans.append(
            Span(trace, f"{number:015x}b", f"{number:015x}a", "cart", 'get "it"', start, 1000, "internal", resource=POD)
        )
    logs = [LogRecord(BEGIN + 5, "cart", "no [cart]", 17, "", "", "", resource=POD)]
    gauges = [Gauge(BEGIN + 10**9, POD["k8s.pod.name"], "k8s.pod.memory.usage", 12.5)]
    return Day(spans, logs, gauges, [Fault(BEGIN, "cart", "return")])


def value(server: Prometheus, expression: str) -> float:
    """Return the only value of an expression."""
    (sample,) = server.query(expression)
    return sample.value


def test_spans_logs_and_gauges_of_a_day_are_metrics_in_a_real_prometheus() -> None:
    with loaded_prometheus(day()) as server:
        calls = 'traces_span_metrics_calls_total{service_name="shop",span_kind="SPAN_KIND_SERVER"}'
        assert value(server, f"{calls} @ {END}") == 40
        assert value(server, f"{calls} @ {END} - {calls} @ {END} offset 1m") == 30
        assert value(server, f'traces_span_metrics_calls_total{{span_name="get \\"it\\""}} @ {END}') == 40
        assert value(server, f'traces_service_graph_request_total{{client="shop",server="cart"}} @ {END}') == 40
        assert value(server, f'log_record_count_total{{severity_text="ERROR"}} @ {END}') == 1
        assert value(server, f"max_over_time(k8s_pod_memory_usage[5m] @ {END})") == 12.5
        duration = 'traces_span_metrics_duration_milliseconds{}{{span_name="/cart"{}}}'
        assert value(server, f"{duration.format('_sum', '')} @ {END}") == 820
        bucket = duration.format("_bucket", ',le="10"')
        assert value(server, f"{bucket} @ {END}") == 10


@pytest.mark.parametrize(
    ("text", "known", "is_held"),
    [
        ('{"rows": [["ts-cart", 42]]}', ["ts-cart", 42], True),
        ('{"rows": [["ts-cart", 421]]}', ["ts-cart", 42], False),
        ("42 calls", ["ts-cart", 42], False),
        ("1.2345 s", [1234.5], True),
        ("1234500000", [1234.5], True),
        ("1300 ms", [1234.5], False),
        ("10:42", [42], True),
        ("id42", [42], False),
    ],
)
def test_an_answer_holds_what_is_known_in_any_unit(text: str, known: list[str | float], is_held: bool) -> None:
    assert contains(text, known, 0.005) == is_held
