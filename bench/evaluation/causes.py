"""Asks `compare` about the recorded faults of an archive, and looks where in the answer the faulty service is.

The baseline is the whole day: other faults are a part of it, and no label says which. Labels are read to know when to
ask, and to judge the answer. The period of a fault is the minute of its injection and the two after it.
"""

import csv
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bench.evaluation.archive import service_of
from tests.support.conversations import result_of
from tests.support.stdio_conversation import StdioConversation
from tfo_mcp.analysis.times import show_time

_MINUTE = 60 * 10**9
_PATIENCE = 60.0
"""Seconds for an answer about a whole day."""
_ATTEMPTS = 5


@dataclass(frozen=True)
class Fault:
    """A labelled fault; `minute` is that of its injection, in nanoseconds."""

    minute: int
    service: str
    kind: str


@dataclass(frozen=True)
class Ranked:
    """The rank of the faulty service in the answer about a fault; None if it is not there."""

    fault: Fault
    rank: int | None


def faults(archive: Path) -> Sequence[Fault]:
    """Return the labelled faults of an archive."""
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.name.endswith("faults.json") else None
            if file is not None:
                hours = json.load(file)
                return [_fault(entry) for entries in hours.values() for entry in entries]
    return []


def _fault(entry: dict[str, str]) -> Fault:
    moment = datetime.fromisoformat(f"{entry['inject_time']}+00:00")
    minute = int(moment.replace(second=0).timestamp()) * 10**9
    return Fault(minute, service_of(entry["inject_pod"]), entry["inject_type"])


def rank_causes(client: StdioConversation, found: Sequence[Fault], day: dict[str, str]) -> Sequence[Ranked]:
    """Ask about each fault; `day` has the arguments `from` and `to` of the whole archive."""
    return [Ranked(fault, _rank(client, fault, f"{day['from']}/{day['to']}")) for fault in found]


def _rank(client: StdioConversation, fault: Fault, baseline: str) -> int | None:
    period = {"from": show_time(fault.minute), "to": show_time(fault.minute + 3 * _MINUTE)}
    answer = _answer(client, {**period, "baseline": baseline})
    lines = answer.partition("<telemetry-data>\n")[2].partition("\n</telemetry-data>")[0].split("\n")
    ranks = [int(row["rank"]) for row in csv.DictReader(lines) if row["service"] == fault.service]
    return min(ranks, default=None)


def _answer(client: StdioConversation, arguments: dict[str, str]) -> str:
    """Return the answer of `compare`, which is asked again if the machine is too busy for the limit of a query."""
    for _ in range(_ATTEMPTS):
        result = result_of(client.reply(client.start_tool("compare", arguments), _PATIENCE))
        if not result["isError"]:
            return str(result["content"][0]["text"])
    raise RuntimeError(f"compare failed {_ATTEMPTS} times: {result['content'][0]['text']}")


def report_causes(ranked: Sequence[Ranked]) -> None:
    """Print the rank of each fault, the figures by kind, and those of all as the last two lines."""
    for each in ranked:
        shown = "-" if each.rank is None else each.rank
        print(f"rank {shown:>2}  {show_time(each.fault.minute)}  {each.fault.kind:16} {each.fault.service}")
    for kind in sorted({each.fault.kind for each in ranked}):
        own = [each for each in ranked if each.fault.kind == kind]
        print(f"{kind}: top 3 {_within(own, 3)} of {len(own)}, rank 1 {_within(own, 1)} of {len(own)}")
    print(f"top 3: {_within(ranked, 3)} of {len(ranked)}")
    print(f"rank 1: {_within(ranked, 1)} of {len(ranked)}")


def _within(ranked: Sequence[Ranked], limit: int) -> int:
    return sum(each.rank is not None and each.rank <= limit for each in ranked)
