"""Runs one kind of attack and returns the figures: the pings of another client, memory, and other measurements."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing.context import SpawnProcess

import uvloop

from bench.cores import Cores
from bench.errors import BenchError
from bench.load.figures import Figure, growth, memory
from bench.load.hostile.attacker import hostile_client
from bench.load.hostile.kinds import Kind, StopKind, Watch
from bench.load.hostile.measurement import PeakWatch, at_rest, busy_share, came, ended
from bench.load.hostile.other_clients import (
    OTHER_ADDRESS,
    FreshGet,
    KeptCall,
    Place,
    Probe,
    asking,
    ping_probes,
)
from bench.load.hostile.server import SMALL_FILE, HostileServed, serving_limited
from bench.load.hostile.target import Counter, Target, new_counter
from bench.load.memory import KIB, MIB, forget_peak

PING_SECONDS = 1.0
MEMORY_MIB = 64.0
GROWTH_PERCENT = 10.0
HEALTH_SECONDS = 1.0
FILE_SECONDS = 5.0
AUDIT_KIB_PER_SECOND = 64.0
BUSY_PERCENT = 20.0
BUSY_SECONDS = 1.0
WARM_UP_SECONDS = 1.0
WARM_UP_CALLS: Sequence[tuple[str, Mapping[str, object]]] = (
    ("echo", {"message": "x" * 1_000_000}),
    ("read_file", {"path": SMALL_FILE}),
    ("file_info", {"path": SMALL_FILE, "digest": True}),
    ("search_files", {"pattern": SMALL_FILE, "contents": "small"}),
)
AFTERWARDS_SECONDS = 1.0
START_SECONDS = 30.0
DRAIN_SECONDS = 2
STOP_SECONDS = DRAIN_SECONDS + 1.0
STOP_LIMIT_SECONDS = 20.0


def run_kind(kind: Kind, address: str, seconds: float, cores: Cores) -> list[Figure]:
    """Start a server, attack it from an address for `seconds`, and return the figures.

    Raises:
        BenchError: the server did not start, or the hostile client failed.
    """
    with serving_limited(cores, kind.settings, kind.prepare, with_key=kind.with_key) as served:
        return uvloop.run(_Run(kind, address, seconds, served).figures())


class _Run:
    """One run of a kind."""

    def __init__(self, kind: Kind, address: str, seconds: float, served: HostileServed) -> None:
        self._kind = kind
        self._seconds = seconds
        self._address = address
        self._served = served
        self._process = served.process
        self._counter = new_counter()
        self._place = Place(served.port, OTHER_ADDRESS, self._credentials())
        self._pings = ping_probes(self._place)
        self._extra = self._extra_probes()

    async def figures(self) -> list[Figure]:
        """Warm up, attack, and wait until the memory is back; return the figures."""
        await asking(ping_probes(self._place), self._warm_up())
        before = await at_rest(self._process, 0, 0)
        audit_before, begin = self._served.audit_bytes(), time.monotonic()
        watch = PeakWatch(self._process)
        forget_peak(self._process)
        watching = asyncio.create_task(watch.run())
        await asking([*self._pings, *self._extra.values()], self._attack())
        audit = (self._served.audit_bytes() - audit_before) / (time.monotonic() - begin)
        after = await at_rest(self._process, before * (1 + GROWTH_PERCENT / 100), self._kind.back_seconds)
        watching.cancel()
        found = [*_attack_figures(self._counter), *self._ping_figures(watch)]
        found += self._memory_figures(before, watch.highest(), after)
        return [*found, *await self._watched(audit)]

    async def _warm_up(self) -> None:
        """Use the server like an honest client, so that what it loads and caches once does not count."""
        for tool, arguments in WARM_UP_CALLS:
            call = KeptCall(self._place, tool, arguments)
            await asyncio.wait_for(call.ask(), START_SECONDS)
            call.close()
        await asyncio.sleep(WARM_UP_SECONDS)

    async def _attack(self) -> None:
        key = self._served.keys[1] if self._served.keys else None
        served = self._served
        longest = START_SECONDS + self._seconds
        target = Target(served.port, self._address, served.root, longest, self._counter, key)
        with hostile_client(self._kind.attack, target) as client:
            await _until_done(client, self._counter, served, self._seconds)
        await asyncio.sleep(AFTERWARDS_SECONDS)

    def _credentials(self) -> dict[str, str] | None:
        return {"Authorization": f"Bearer {self._served.keys[0]}"} if self._served.keys else None

    def _extra_probes(self) -> dict[Watch, Probe]:
        probes = {}
        if Watch.HEALTH in self._kind.watches:
            probes[Watch.HEALTH] = Probe(FreshGet(self._place, "/healthz"))
        if Watch.FILES in self._kind.watches:
            probes[Watch.FILES] = Probe(KeptCall(self._place, "read_file", {"path": SMALL_FILE}))
        if Watch.GOOD_KEY in self._kind.watches:
            behind = Place(self._served.port, self._address, self._credentials())
            probes[Watch.GOOD_KEY] = Probe(KeptCall(behind, "echo", {"message": "good"}))
        return probes

    def _ping_figures(self, watch: PeakWatch) -> list[Figure]:
        self._report_failures("ping", self._pings)
        return [
            Figure("slowest ping of another client", _slowest(self._pings), "s", at_most=PING_SECONDS),
            Figure("pings of another client", sum(probe.asked for probe in self._pings), ""),
            Figure("of these without an answer", sum(probe.failed for probe in self._pings), "", at_most=0),
            Figure("longest delay of the measuring clients' own", round(watch.overslept, 3), "s"),
        ]

    def _memory_figures(self, before: int, peak: int, after: int) -> list[Figure]:
        found = [
            memory("memory before", before),
            Figure("memory at its highest, above that", round((peak - before) / MIB, 1), "MiB", at_most=MEMORY_MIB),
        ]
        if ended(self._process):
            code = self._process.returncode
            print(f"  {self._kind.name}: the server has ended with {code}", file=sys.stderr)
            return [*found, Figure("servers that ended or were killed at 2 GiB", 1, "", at_most=0)]
        return [*found, growth("memory afterwards", before, after, GROWTH_PERCENT)]

    async def _watched(self, audit: float) -> list[Figure]:
        found = []
        names = {
            Watch.HEALTH: ("GET /healthz", HEALTH_SECONDS),
            Watch.FILES: ("read_file of another client", FILE_SECONDS),
            Watch.GOOD_KEY: ("call with a good key from the same address", PING_SECONDS),
        }
        for watch, probe in self._extra.items():
            name, at_most = names[watch]
            self._report_failures(name, [probe])
            found += [
                Figure(f"slowest {name}", _slowest([probe]), "s", at_most=at_most),
                Figure("of these without success", probe.failed, "", at_most=0),
            ]
        if Watch.AUDIT in self._kind.watches:
            rate = round(audit / KIB, 1)
            found.append(Figure("growth of the audit log", rate, "KiB/s", at_most=AUDIT_KIB_PER_SECOND))
        if Watch.PROCESSOR in self._kind.watches and not ended(self._process):
            share = round(100 * await busy_share(self._process, BUSY_SECONDS), 1)
            found.append(Figure("of a core still used afterwards", share, "%", at_most=BUSY_PERCENT))
        return found

    def _report_failures(self, what: str, probes: Sequence[Probe]) -> None:
        reason = next((probe.reason for probe in probes if probe.reason), None)
        if reason is not None:
            print(f"  {self._kind.name}: {what} first failed with: {reason}", file=sys.stderr)


def run_stop(kind: StopKind, address: str, cores: Cores) -> list[Figure]:
    """Send SIGTERM to a server under attack, and measure the time to its end.

    Raises:
        BenchError: the server did not start, or the hostile client failed.
    """
    with serving_limited(cores, {"server": {"drain_seconds": DRAIN_SECONDS}}, kind.prepare) as served:
        return uvloop.run(_stop(kind, address, served))


async def _stop(kind: StopKind, address: str, served: HostileServed) -> list[Figure]:
    counter = new_counter()
    target = Target(served.port, address, served.root, START_SECONDS + kind.seconds + STOP_LIMIT_SECONDS, counter)
    with hostile_client(kind.attack, target) as client:
        await _until_done(client, counter, served, kind.seconds)
        if ended(served.process):
            raise BenchError("the server ended before SIGTERM")
        begin = time.monotonic()
        served.process.terminate()
        await came(lambda: ended(served.process), STOP_LIMIT_SECONDS)
        took = time.monotonic() - begin
    code = served.process.returncode
    return [
        *_attack_figures(counter),
        Figure("from SIGTERM to the end", round(took, 2), "s", at_most=STOP_SECONDS),
        Figure("exit code", -1 if code is None else code, "", at_least=0, at_most=0),
    ]


async def _until_done(client: SpawnProcess, counter: Counter, served: HostileServed, seconds: float) -> None:
    """Wait until the hostile client has attacked for `seconds`, or the server or the client has ended."""
    await came(lambda: bool(counter.connections.value) or not client.is_alive(), START_SECONDS)
    await came(lambda: not client.is_alive() or ended(served.process), seconds)


def _attack_figures(counter: Counter) -> list[Figure]:
    found = [
        Figure("connections of the hostile client", counter.connections.value, ""),
        Figure("sent by it", round(counter.sent.value / MIB, 1), "MiB"),
    ]
    if counter.requests.value:
        found.append(Figure("requests of it", counter.requests.value, ""))
    return found


def _slowest(probes: Sequence[Probe]) -> float:
    return round(max(probe.slowest for probe in probes), 3)
