"""The records of a recorded day: a tar archive of CSV files per minute (Nezha's layout), read once into memory.

`DAY/trace/HH_MM_trace.csv`, `DAY/log/HH_MM_log.csv` and `DAY/metric/POD_metric.csv`, of which the use of processor and
memory is read; labels of faults are not read here.
"""

import csv
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tfo_mcp.application.ports.telemetry_store import LogRecord, Span, SpanKind

_ERROR, _WARN, _INFO = 17, 13, 9
_CALLS = ("HTTP", "SELECT", "INSERT", "UPDATE", "DELETE")


@dataclass(frozen=True)
class Minute:
    """The records of one file each of traces and logs."""

    spans: list[Span]
    logs: list[LogRecord]


def minutes(archive: Path) -> Iterator[Minute]:
    """Yield the minutes of an archive in the order of their names."""
    with tarfile.open(archive) as tar:
        texts = {member.name: _text(tar, member) for member in tar if member.name.endswith(("_trace.csv", "_log.csv"))}
    for name in sorted(texts):
        if "/trace/" in name:
            logs = texts.get(name.replace("trace", "log"), "")
            yield Minute(list(_spans(texts[name])), list(_logs(logs)))


@dataclass(frozen=True)
class Gauge:
    """A value of a metric of a pod."""

    time: int
    pod: str
    name: str
    value: float


_GAUGES = {"CpuUsage(m)": "k8s.pod.cpu.usage", "MemoryUsage(Mi)": "k8s.pod.memory.usage"}


def gauges(archive: Path) -> Iterator[Gauge]:
    """Yield the metrics of all pods."""
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.name.endswith("_metric.csv"):
                yield from _gauges(_text(tar, member))


def _gauges(text: str) -> Iterator[Gauge]:
    for row in csv.DictReader(io.StringIO(text)):
        for column, name in _GAUGES.items():
            try:
                yield Gauge(int(row["TimeStamp"]) * 10**9, row["PodName"], name, float(row[column]))
            except (KeyError, TypeError, ValueError):
                continue  # a metric of something that is no pod, or a missing value


def _text(tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    file = tar.extractfile(member)
    return "" if file is None else file.read().decode()


def _spans(text: str) -> Iterator[Span]:
    for row in csv.DictReader(io.StringIO(text)):
        start, end = int(row["StartTimeUnixNano"]), int(row["EndTimeUnixNano"])
        parent, name = row["ParentID"], row["OperationName"]
        yield Span(
            row["TraceID"],
            row["SpanID"],
            "" if parent == "root" else parent,
            service_of(row["PodName"]),
            name,
            start,
            max(0, end - start),
            _kind(name),
            resource={"k8s.pod.name": row["PodName"]},
        )


def _kind(name: str) -> SpanKind:
    if name.startswith("/"):
        return "server"
    return (
        "client" if name.split(" ", maxsplit=1)[0] in ("HTTP", "SELECT", "INSERT", "UPDATE", "DELETE") else "internal"
    )


def _logs(text: str) -> Iterator[LogRecord]:
    for row in csv.DictReader(io.StringIO(text)):
        moment, body = int(row["TimeUnixNano"]), row["Log"]
        if moment <= 0:  # a few lines of the archive have no time
            continue
        if body.startswith("{"):
            document, _ = json.JSONDecoder().raw_decode(body)  # some lines hold several documents
            body = str(document.get("log", body)).rstrip("\n")
        severity = _ERROR if " ERROR " in body else _WARN if " WARN " in body else _INFO
        ids = (row["TraceID"], row["SpanID"]) if len(row["TraceID"]) == 32 else ("", "")
        pod = row["PodName"]
        resource = {"k8s.pod.name": pod}
        yield LogRecord(moment, service_of(pod), body, severity, "", *ids, resource=resource)


def service_of(pod: str) -> str:
    """Return the service of a pod: its name without the hashes of replica set and pod."""
    return pod.rsplit("-", 2)[0]
