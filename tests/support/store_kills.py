"""Kills the store process while programs send to it, and compares what was acknowledged with what is stored.

`python -m tests.support.store_kills --times 50` does it for longer than the tests do (make store-kills).
"""

import argparse
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.deadlines import wait_until
from tests.support.processes import NO_TLS
from tests.support.telemetry_stores import ALL, telemetry_store

SENDERS = 2
SPANS = 20
ENOUGH = 10  # acknowledged requests of a round before the kill


class Sender(Thread):
    """Sends requests of spans with known names until it is stopped or cannot reach the store."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.acknowledged: set[str] = set()
        self.stop = Event()

    def run(self) -> None:
        """Send."""
        with httpx.Client(verify=NO_TLS) as client, suppress(httpx.TransportError):
            while not self.stop.is_set():
                names = [f"span-{secrets.token_hex(8)}" for _ in range(SPANS)]
                answer = client.post(
                    f"{self.url}/v1/traces", content=request(names), headers={"content-type": "application/x-protobuf"}
                )
                if answer.status_code == httpx.codes.OK:
                    self.acknowledged.update(names)


def request(names: list[str]) -> bytes:
    message = ExportTraceServiceRequest()
    spans = message.resource_spans.add().scope_spans.add().spans
    for name in names:
        spans.add(
            name=name, trace_id=secrets.token_bytes(16), span_id=secrets.token_bytes(8), start_time_unix_nano=2**60
        )
    return bytes(message.SerializeToString())


def kill_while_sending(home: Path, times: int) -> tuple[set[str], set[str]]:
    """Return the names of the acknowledged and of the stored spans after `times` kills."""
    acknowledged: set[str] = set()
    kept = {"max_age_seconds": 1e9}
    for _ in range(times):
        acknowledged |= killed_once(home, kept)
    with telemetry_store(kept, home) as store:
        stored = {span.name for span in store.ask(lambda client: client.spans(ALL, order="latest", limit=10**6))}
    return acknowledged, stored


def killed_once(home: Path, kept: Mapping[str, Any]) -> set[str]:
    """Kill a store while programs send, and return the names of the acknowledged spans."""
    with telemetry_store(kept, home) as store:
        senders = [Sender(store.http) for _ in range(SENDERS)]
        for sender in senders:
            sender.start()
        wait_until(lambda: sum(len(sender.acknowledged) for sender in senders) > ENOUGH * SPANS, "spans are sent")
        store.process.process.kill()
        store.process.wait()
        for sender in senders:
            sender.join()
    return set().union(*(sender.acknowledged for sender in senders))


def main() -> None:
    """Kill the store, and print what was lost."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=50)
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory() as home:
        acknowledged, stored = kill_while_sending(Path(home), times)
    lost = len(acknowledged - stored)
    print(f"{times} kills: {len(acknowledged)} spans acknowledged, {len(stored)} stored, {lost} lost")
    raise SystemExit(1 if lost else 0)


if __name__ == "__main__":
    main()
