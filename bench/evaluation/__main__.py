"""`python -m bench.evaluation ARCHIVE`: load a recorded day through the receiver, and ask the telemetry tools about it.

Prints load time, bytes per span, and per question whether the answer is right, its tokens (o200k) and how much smaller
it is than the records that it is about; then at which rank `compare` names the service of each recorded fault. Writes
bench/results/evaluation.json. The exit code is 1 if an answer is wrong or over its budget.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from bench.evaluation.archive import gauges, minutes
from bench.evaluation.causes import Ranked, faults, rank_causes, report_causes
from bench.evaluation.day import AskedQuestion, Day
from bench.evaluation.questions import questions
from bench.evaluation.sender import send, send_gauges
from tests.support.telemetry_stores import RunningStore, asking, telemetry_store
from tests.support.tokenizer import real_tokens
from tfo_mcp.analysis.times import show_time

RESULTS = Path(__file__).parents[1] / "results" / "evaluation.json"
KEEP_FOR_EVER = {"max_age_seconds": 10**9}
BUDGETS = {
    "telemetry_overview": 800,
    "find_fields": 800,
    "search_traces": 1500,
    "get_trace": 2500,
    "search_logs": 1500,
    "aggregate": 1500,
    "service_map": 1000,
    "query_metrics": 1500,
    "telemetry_sql": 2000,
    "compare": 2000,
}
WITHOUT_PERIOD = ("get_trace", "telemetry_sql")


@dataclass(frozen=True)
class Asked:
    """The result of one question."""

    question: str
    right: bool
    tokens: int
    budget: int
    raw_tokens: int
    milliseconds: float


def main() -> int:
    """Run the evaluation; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.evaluation", description=__doc__)
    parser.add_argument("archive", type=Path, help="tar archive of the recorded day")
    archive = parser.parse_args().archive
    with telemetry_store(KEEP_FOR_EVER) as store:
        day, load = _load(store, archive)
        asked = _ask(store, day)
        ranked = _rank(store, day)
    _report(load, asked)
    report_causes(ranked)
    document = {
        "load": load,
        "questions": [asdict(each) for each in asked],
        "causes": [{**asdict(each.fault), "rank": each.rank} for each in ranked],
    }
    RESULTS.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return 0 if all(each.right and each.tokens <= each.budget for each in asked) else 1


def read_day(archive: Path) -> Day:
    """Return the records of an archive, of metrics those in the period of the others."""
    recorded = list(minutes(archive))
    spans = [span for minute in recorded for span in minute.spans]
    logs = [log for minute in recorded for log in minute.logs]
    day = Day(spans, logs, [], faults(archive))
    day.gauges = [gauge for gauge in gauges(archive) if day.first <= gauge.time <= day.last]
    return day


def _load(store: RunningStore, archive: Path) -> tuple[Day, Mapping[str, float]]:
    day, seconds = read_day(archive), 0.0
    with httpx.Client(timeout=120) as client:
        for minute in minutes(archive):
            began = time.perf_counter()
            send(client, store.http, minute)
            seconds += time.perf_counter() - began
        send_gauges(client, store.http, day.gauges)
    size = sum(path.stat().st_size for path in store.places.directory.rglob("*") if path.is_file())
    records = len(day.spans) + len(day.logs)
    load = {
        "spans": len(day.spans),
        "logs": len(day.logs),
        "seconds": round(seconds, 1),
        "bytes_per_record": round(size / records),
    }
    return day, load


def _ask(store: RunningStore, day: Day) -> Sequence[Asked]:
    period = period_of(day)
    with asking(store) as client:
        results = []
        for question in questions(day):
            arguments = {**({} if question.tool in WITHOUT_PERIOD else period), **question.arguments}
            began = time.perf_counter()
            answer = client.text(question.tool, arguments)
            results.append(_judged(question, answer, (time.perf_counter() - began) * 1000))
        return results


def _rank(store: RunningStore, day: Day) -> Sequence[Ranked]:
    with asking(store) as client:
        return rank_causes(client, day.faults, period_of(day))


def period_of(day: Day) -> dict[str, str]:
    """Return the arguments `from` and `to` of the whole day."""
    return {"from": show_time(day.first - 10**9), "to": show_time(day.last + 10**9)}


def _judged(question: AskedQuestion, answer: str, milliseconds: float) -> Asked:
    budget = int(question.arguments.get("budget", BUDGETS[question.tool]))
    return Asked(
        question.text,
        _is_right(question, answer),
        real_tokens(answer),
        budget,
        _raw_tokens(question.records),
        milliseconds,
    )


def _is_right(question: AskedQuestion, answer: str) -> bool:
    try:
        return question.answers(answer)
    except (ValueError, IndexError):
        return False


def _raw_tokens(records: Sequence[Any]) -> int:
    """Return the tokens of records as JSON, estimated from a sample of them."""
    if not records:
        return 0
    sample = records[:: max(1, len(records) // 50)][:50]
    whole = sum(real_tokens(json.dumps(asdict(record))) for record in sample)
    return round(whole / len(sample) * len(records))


def _report(load: Mapping[str, float], asked: Sequence[Asked]) -> None:
    sizes = f"{load['seconds']} s, {load['bytes_per_record']} bytes each"
    print(f"{load['spans']} spans and {load['logs']} log records in {sizes}")
    for each in asked:
        mark = "right" if each.right else "WRONG"
        ratio = each.raw_tokens // max(1, each.tokens)
        sizes = f"{each.tokens:5} of {each.budget:5} tokens, 1/{ratio:<8}"
        print(f"{mark}  {sizes} {each.milliseconds:6.0f} ms  {each.question}")
    median = statistics.median(each.tokens for each in asked)
    print(f"{sum(each.right for each in asked)} of {len(asked)} right, median {median:.0f} tokens")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    sys.exit(main())
