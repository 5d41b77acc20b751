"""`python -m bench.evaluation.peers ARCHIVE`: ask three other MCP servers the questions of the evaluation.

Each has the same records in a backend of its own: autotel-mcp in its collector, mcp-clickhouse in ClickHouse (chDB),
prometheus-mcp-server in Prometheus. The calls are written down per server and question. Prints whether the answers hold
what is known, their tokens (o200k) and calls. Writes bench/results/peers.json. The packages are installed beneath
`.peers` at first.
"""

import argparse
import json
import os
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from bench.evaluation.__main__ import KEEP_FOR_EVER, WITHOUT_PERIOD, period_of, read_day
from bench.evaluation.archive import Minute
from bench.evaluation.day import AskedQuestion, Day
from bench.evaluation.peers import autotel, clickhouse, prometheus
from bench.evaluation.peers.judging import PeerAnswer, ask_all
from bench.evaluation.peers.session import PeerCall, PeerSession, Plan
from bench.evaluation.questions import questions
from bench.evaluation.sender import send, send_gauges
from tests.support.telemetry_stores import asking, telemetry_store
from tests.support.tokenizer import real_tokens

RESULTS = Path(__file__).parents[2] / "results" / "peers.json"
OURS = "tfo-mcp"


@dataclass(frozen=True)
class Server:
    """A server: how it is started over the records of a day, and its calls for the questions.

    `orientation` are the calls that show the names of tables or metrics, once in a conversation.
    """

    name: str
    running: Callable[[Day], Any]
    plans: Callable[[Day], Mapping[str, Plan]]
    orientation: Sequence[PeerCall] = ()


@contextmanager
def _own(day: Day) -> Iterator[PeerSession]:
    with telemetry_store(KEEP_FOR_EVER) as store:
        with httpx.Client(timeout=120) as client:
            send(client, store.http, Minute(list(day.spans), list(day.logs)))
            send_gauges(client, store.http, day.gauges)
        with asking(store) as conversation:
            yield PeerSession(conversation)


def _own_plans(day: Day) -> Mapping[str, Plan]:
    return {question.key: _own_plan(question, period_of(day)) for question in questions(day)}


def _own_plan(question: AskedQuestion, period: Mapping[str, str]) -> Plan:
    arguments = {**({} if question.tool in WITHOUT_PERIOD else period), **question.arguments}
    is_cause = question.tool == "compare"
    tolerance = 0.05 if question.key.startswith("p95") else 0.005
    return Plan([PeerCall(question.tool, arguments)], is_first=is_cause, tolerance=tolerance)


SERVERS = (
    Server(OURS, _own, _own_plans),
    Server(autotel.NAME, autotel.autotel_peer, autotel.autotel_plans),
    Server(clickhouse.NAME, clickhouse.clickhouse_peer, clickhouse.clickhouse_plans, clickhouse.ORIENTATION),
    Server(prometheus.NAME, prometheus.prometheus_peer, prometheus.prometheus_plans, prometheus.ORIENTATION),
)


def main() -> None:
    """Ask each server, and print and write the results."""
    parser = argparse.ArgumentParser(prog="python -m bench.evaluation.peers", description=__doc__)
    parser.add_argument("archive", type=Path, help="tar archive of the recorded day")
    day = read_day(parser.parse_args().archive)
    asked = list(questions(day))
    results: dict[str, Any] = {}
    for server in SERVERS:
        with server.running(day) as session:
            definitions = real_tokens(json.dumps(session.definitions()))
            orientation = sum(real_tokens(session.call(call)) for call in server.orientation)
            answers = ask_all(session, asked, server.plans(day), day)
        _report(server.name, definitions, answers)
        results[server.name] = {
            "definition_tokens": definitions,
            "orientation_tokens": orientation,
            "questions": [asdict(each) for each in answers],
        }
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    _compare(results)


def _report(name: str, definitions: int, answers: Sequence[PeerAnswer]) -> None:
    print(f"\n{name}: definitions of its tools {definitions:,} tokens")
    for each in answers:
        mark = "answered" if each.is_answered else "-       "
        print(f"{mark} {each.tokens:7,} tokens {each.calls} calls  {each.question}  {each.reason}", flush=True)


def _compare(results: Mapping[str, Any]) -> None:
    """Print the table of all servers; the medians are those of the questions that a server answers."""
    print("\n| server | answered | tokens of the answers | most | tokens of the calls | calls | definitions | names |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for name, result in results.items():
        answered = [each for each in result["questions"] if each["is_answered"]]
        tokens, sent, calls = (
            statistics.median(each[part] for each in answered) for part in ("tokens", "sent_tokens", "calls")
        )
        most = max(each["tokens"] for each in answered)
        figures = f"{tokens:,.0f} | {most:,} | {sent:,.0f} | {calls:g} | {result['definition_tokens']:,}"
        count = f"{len(answered)} of {len(result['questions'])}"
        print(f"| {name} | {count} | {figures} | {result['orientation_tokens']:,} |")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    main()
