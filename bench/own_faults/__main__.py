"""`python -m bench.own_faults`: switch each fault of the shop on, and ask `compare` once what changed.

The period is the time with the fault, the baseline the healthy time before it; nothing else is said. The answer is
read through the official client. Prints a line per fault, its answer if it is wrong, and `own faults: N of M` at the
end. Arguments are names of faults, by default all. Exits with 1 if one was missed.
"""

import argparse
import csv
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import anyio
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from bench.own_faults.faults import FAULTS, OwnFault, Row
from bench.own_faults.load import Load
from bench.own_faults.shop import Shop, running_shop
from tests.support.processes import command, environment
from tfo_mcp.analysis.times import show_time

RATE = 5.0
"""Requests per second."""
SETTLED, HEALTHY, FAULTY, SENT = 6.0, 36.0, 24.0, 4.0
"""Seconds: after a fault, of the baseline, of the period, and until services have sent their telemetry."""


@dataclass(frozen=True)
class Judged:
    """The answer about a fault, and whether its first finding is right."""

    fault: OwnFault
    is_right: bool
    answer: str


def main() -> int:
    """Run the campaign; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.own_faults", description=__doc__)
    parser.add_argument("faults", nargs="*", help="names of faults", metavar="FAULT")
    parser.add_argument("--answers", action="store_true", help="print the answers that are right, too")
    arguments = parser.parse_args()
    chosen = [fault for fault in FAULTS if fault.name in arguments.faults or not arguments.faults]
    judged = []
    with running_shop() as shop:
        shop.warm()
        with Load(shop.front, RATE).running() as load:
            for fault in chosen:
                judged.append(judge(fault, shop))
                report(judged[-1], whole=arguments.answers)
        print(f"answers by status: {dict(load.answers)}", flush=True)
    right = sum(each.is_right for each in judged)
    print(f"own faults: {right} of {len(judged)}", flush=True)
    return 0 if right == len(judged) else 1


def judge(fault: OwnFault, shop: Shop) -> Judged:
    """Run the shop healthy and with a fault, and ask about the fault."""
    time.sleep(SETTLED)
    times = [time.time_ns()]
    time.sleep(HEALTHY)
    times.append(time.time_ns())
    with fault.running(shop):
        time.sleep(FAULTY)
        times.append(time.time_ns())
    time.sleep(SENT)
    healthy, faulty, end = map(show_time, times)
    arguments = {"from": faulty, "to": end, "baseline": f"{healthy}/{faulty}"}
    answer = anyio.run(ask, shop, arguments)
    return Judged(fault, is_first(fault, rows_of(answer)), answer)


async def ask(shop: Shop, arguments: dict[str, Any]) -> str:
    """Return the answer of `compare`, through the official client and a server over stdio."""
    own = {"XDG_STATE_HOME": os.fspath(shop.store.home), "TELEMETRYFLOW_MCP_TELEMETRY_STORE": "embedded"}
    line = [*command(), "serve", "--transport", "stdio"]
    parameters = StdioServerParameters(command=line[0], args=line[1:], env=environment(own))
    async with Client(stdio_client(parameters)) as client:
        result = await client.call_tool("compare", arguments)
    (content,) = result.content
    return str(getattr(content, "text", ""))


def rows_of(answer: str) -> Sequence[Row]:
    """Return the rows of the likeliest cause."""
    lines = answer.partition("<telemetry-data>\n")[2].partition("\n</telemetry-data>")[0].split("\n")
    return [row for row in csv.DictReader(lines) if row["rank"] == "1"]


def is_first(fault: OwnFault, rows: Sequence[Row]) -> bool:
    """Return whether the likeliest cause is the fault."""
    if not rows or rows[0]["service"] != fault.service or not fault.is_right(rows[0]):
        return False
    texts = [f"{row['change']} {row['of']}" for row in rows]
    return all(any(name in text for text in texts) for name in fault.named)


def report(judged: Judged, *, whole: bool) -> None:
    """Print the result of a fault, and the answer if it is wrong."""
    first = next(iter(rows_of(judged.answer)), None)
    shown = "nothing" if first is None else " | ".join(first[each] for each in ("service", "change", "operation", "of"))
    print(f"{'first' if judged.is_right else 'MISSED':6}  {judged.fault.name:20} {shown}", flush=True)
    if whole or not judged.is_right:
        print(judged.answer, flush=True)


if __name__ == "__main__":
    sys.exit(main())
