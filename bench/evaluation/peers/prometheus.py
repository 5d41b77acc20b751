"""prometheus-mcp-server over Debian's Prometheus: the metrics of pods, and those that a Collector derives.

Each question is one PromQL expression at the end of the day (`execute_query`), as somebody who knows these metrics
would write it. Traces and texts of log records are not in Prometheus.
"""

import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.errors import BenchError
from bench.evaluation.causes import Fault
from bench.evaluation.day import Day, Known
from bench.evaluation.further_questions import MEMORY, MINUTE, PROCESSOR
from bench.evaluation.peers.openmetrics import CALLS, DURATION, EDGES, LOGS, openmetrics
from bench.evaluation.peers.packages import python_command
from bench.evaluation.peers.session import PeerCall, PeerSession, Plan, peer_session
from tests.support.processes import free_port
from tests.support.programs import path_of
from tests.support.prometheus import Prometheus, prometheus
from tfo_mcp.analysis.times import show_time

NAME = "prometheus-mcp-server"
ORIENTATION = (PeerCall("list_metrics", {}), PeerCall("get_metric_metadata", {}))
_SETTINGS = {"PROMETHEUS_DISABLE_LINKS": "true"}  # links to Prometheus' pages cost tokens
_TRACES = "Prometheus has no traces"
_TEXTS = "Prometheus has no texts of log records"
_NO_TRACE_COUNTS = "a Collector derives no metric of traces as a whole"


@contextmanager
def prometheus_peer(day: Day) -> Iterator[PeerSession]:
    """Load a day into a Prometheus, and run the server over it."""
    with (
        loaded_prometheus(day) as server,
        peer_session(python_command(NAME), {"PROMETHEUS_URL": server.url, **_SETTINGS}) as session,
    ):
        yield session


@contextmanager
def loaded_prometheus(day: Day) -> Iterator[Prometheus]:
    """Run a Prometheus that has the metrics of a day.

    Raises:
        BenchError: promtool cannot load them.
    """
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        text = directory / "day.txt"
        with text.open("w") as file:
            file.writelines(f"{line}\n" for line in openmetrics(day))
        line = [path_of("promtool"), "tsdb", "create-blocks-from", "openmetrics", str(text), str(directory / "data")]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"promtool failed: {done.stderr[-500:]}")
        with prometheus(directory, free_port()) as server:
            yield server


def prometheus_plans(day: Day) -> Mapping[str, Plan]:
    """Return the calls that answer each question, by its key."""
    end = (day.minutes[-1] + 1) * 60
    expressions = {**_services(day), **_operations(day), **_metrics(day)}
    plans = {key: Plan([_query(expression, end)]) for key, expression in expressions.items()}
    plans["p95 of operation"] = Plan(plans["p95 of operation"].calls, tolerance=0.05)
    plans["metrics"] = Plan(
        [PeerCall("list_metrics", {"filter_pattern": "k8s"})],
        known=[MEMORY.replace(".", "_"), PROCESSOR.replace(".", "_")],
    )
    plans["kinds"] = Plan(plans["kinds"].calls, known=_kind(day))
    plans["minute of errors"] = _worst_minute(day, end)
    for key in ("slowest trace", "spans of slowest", "time of slowest", "largest trace", "services of largest"):
        plans[key] = Plan(reason=_TRACES)
    for key in ("commonest error", "count of error", "logs of slowest"):
        plans[key] = Plan(reason=_TEXTS)
    for key in ("traces", "logs without trace"):
        plans[key] = Plan(reason=_NO_TRACE_COUNTS)
    for key in ("longest of operation", "longest call"):
        plans[key] = Plan(reason="a histogram has no largest value")
    for fault in day.first_faults:
        plans[f"cause: {fault.kind}"] = Plan(_cause(fault, end), is_first=True)
    return plans


def _kind(day: Day) -> Known:
    kind, count = Counter(span.kind for span in day.spans).most_common(1)[0]
    return [f"SPAN_KIND_{kind.upper()}", count]


def _worst_minute(day: Day, end: int) -> Plan:
    """Return the minutes with more than 30 errors, a limit that somebody finds by trying."""
    errors = f'{LOGS}_total{{severity_text="ERROR"}}'
    arguments = {
        "query": f"sum({errors}) - sum({errors} offset 1m) > 30",
        "start": show_time(day.minutes[0] * 60 * 10**9),
        "end": show_time(end * 10**9),
        "step": "1m",
    }
    minute, count = Counter(log.time // MINUTE for log in day.errors).most_common(1)[0]
    return Plan([PeerCall("execute_range_query", arguments)], known=[str((minute + 1) * 60), count])


def _query(expression: str, moment: int) -> PeerCall:
    return PeerCall("execute_query", {"query": expression, "time": show_time(moment * 10**9)})


def _services(day: Day) -> Mapping[str, str]:
    caller = day.calls.most_common(1)[0][0][0]
    return {
        "services": f"count(count by (service_name) ({CALLS}_total or {LOGS}_total or "
        f"last_over_time({MEMORY.replace('.', '_')}[1d])))",
        "most spans": f"topk(5, sum by (service_name) ({CALLS}_total))",
        "most errors": f'topk(5, sum by (service_name) ({LOGS}_total{{severity_text="ERROR"}}))',
        "busiest call": f"topk(5, {EDGES}_total)",
        "callers": f'{EDGES}_total{{server="{day.callee}"}}',
        "callees": f'{EDGES}_total{{client="{caller}"}}',
        "errors": f'sum({LOGS}_total{{severity_text="ERROR"}})',
        "loudest service": f"topk(3, sum by (service_name) ({LOGS}_total))",
        "warnings": f'sum({LOGS}_total{{severity_text="WARN"}})',
    }


def _operations(day: Day) -> Mapping[str, str]:
    of = f'{{span_name="{day.operation}"}}'
    client = '{span_kind="SPAN_KIND_CLIENT"}'
    server = 'span_kind="SPAN_KIND_SERVER"'
    return {
        "operations": f"count(count by (span_name) ({CALLS}_total))",
        "costliest calls": f"topk(3, sum by (service_name, span_name) ({DURATION}_sum{client}))",
        "count of operation": f"sum({CALLS}_total{of})",
        "mean of operation": f"sum({DURATION}_sum{of}) / sum({DURATION}_count{of})",
        "p95 of operation": f"histogram_quantile(0.95, sum by (le) ({DURATION}_bucket{of}))",
        "slow requests": f'sum({DURATION}_count{{{server}}}) - sum({DURATION}_bucket{{{server},le="1000"}})',
        "kinds": f"sort_desc(sum by (span_kind) ({CALLS}_total))",
        "spans": f"sum({CALLS}_total)",
    }


def _metrics(day: Day) -> Mapping[str, str]:
    memory, processor = MEMORY.replace(".", "_"), PROCESSOR.replace(".", "_")
    of = f'{{service_name="{day.callee}"}}'
    return {
        "most memory": f"topk(3, max by (service_name) (max_over_time({memory}[1d])))",
        "most processor": f"topk(3, max by (service_name) (max_over_time({processor}[1d])))",
        "peak of processor": f"max(max_over_time({processor}{of}[1d]))",
        "mean of processor": f"avg(avg_over_time({processor}{of}[1d]))",
        "pods": f"count(last_over_time({memory}[1d]))",
        "pod with errors": f'topk(3, sum by (k8s_pod_name) ({LOGS}_total{{severity_text="ERROR"}}))',
    }


def _cause(fault: Fault, end: int) -> Sequence[PeerCall]:
    """Return expressions that compare the three minutes with the day, the greatest difference first."""
    moment = fault.minute // 10**9 + 180
    processor = PROCESSOR.replace(".", "_")
    now = f'sum by (service_name) (increase({LOGS}_total{{severity_text="ERROR"}}[4m]))'
    records = f"sum by (service_name) (increase({LOGS}_total[4m]))"
    whole = f'sum by (service_name) ({LOGS}_total{{severity_text="ERROR"}} @ {end})'
    every = f"sum by (service_name) ({LOGS}_total @ {end})"
    by = "by (service_name, span_name)"
    mean = f"sum {by} (increase({DURATION}_sum[4m])) / sum {by} (increase({DURATION}_count[4m]) > 10)"
    usual = f"sum {by} ({DURATION}_sum @ {end}) / sum {by} ({DURATION}_count @ {end})"
    rate = f"sum by (service_name) (increase({CALLS}_total[4m])) / sum by (service_name) ({CALLS}_total @ {end})"
    return [
        _query(f"topk(5, {now} / {records} - {whole} / {every})", moment),
        _query(f"topk(5, ({mean}) / ({usual} > 1))", moment),
        _query(f"bottomk(5, {rate})", moment),
        _query(
            f"topk(5, avg by (service_name) (avg_over_time({processor}[3m])) / "
            f"(avg by (service_name) (avg_over_time({processor}[1d] @ {end})) > 1))",
            moment,
        ),
    ]
