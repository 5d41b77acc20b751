"""`python -m tests.e2e.fault_campaign`: replicas, Redis and PostgreSQL fail while clients call; what do they notice?

    python -m tests.e2e.fault_campaign --seconds 60 --clients 50 --kills 200

For each fault, clients of both eras call three replicas behind nginx: a quiet phase, the fault, and the time after it.
Then processes are killed in short cycles, and every acknowledged write is looked for (`kill_campaign`); last, eight
processes share rate limits. The exit code is 1 when a promise of docs/reliability.md was broken.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from threading import Event
from time import monotonic

import anyio
import anyio.to_thread

from tests.e2e.fault_clients import FaultCrowd
from tests.e2e.fault_place import VICTIMS, FaultPlace, Victim, fault_place, key_in
from tests.e2e.kill_campaign import kill_repeatedly
from tests.e2e.shared_limits import flood
from tests.support.faulty_proxy import Fault

AWAY_SECONDS = 5.0  # between a kill and the restart
RECOVERY_SECONDS = 10.0  # promised
RISE_SECONDS = 0.25  # promised
WARM_UP = 3.0  # seconds that do not count
Begin = Callable[[FaultPlace], Callable[[], None]]


def killing(victim: Victim) -> Begin:
    """Return what kills a process and returns the function that starts it again."""
    return lambda place: place.kill(victim)


def disturbing(victim: Victim, fault: Fault) -> Begin:
    """Return what disturbs a service and returns the function that ends that."""
    return lambda place: place.disturb(victim, fault)


FAULTS: dict[str, Begin] = {
    **{f"kill -9 of {'a ' if victim == 'replica' else ''}{victim}": killing(victim) for victim in VICTIMS},
    **{
        f"{victim} is {fault}": disturbing(victim, fault)
        for victim in VICTIMS
        if victim != "replica"
        for fault in ("silent", "reset", "slow")
    },
}


@dataclass
class FaultRun:
    """One fault: the clients, and when it began, ended and was recovered from, in seconds of the monotonic clock."""

    crowd: FaultCrowd
    quiet: float = 0.0
    began: float = 0.0
    ended: float = 0.0
    recovered: float = 0.0

    def p99(self) -> tuple[float, float]:
        """Return the 99th percentile of the stateless calls in the quiet phase, and from the fault to the recovery."""
        calls = self.crowd.stateless
        return calls.percentile(0.99, self.quiet, self.began), calls.percentile(0.99, self.began, self.recovered)

    def problems(self) -> list[str]:
        """Return the broken promises, one line each."""
        quiet, during = self.p99()
        found = [f"stateless call failed: {what}" for _, what in self.crowd.stateless.failed]
        found += [f"session lost: {what}" for what in self.crowd.handshake.lost]
        if self.recovered - self.ended > RECOVERY_SECONDS:
            found.append(f"recovered only after {self.recovered - self.ended:.1f} s")
        if during > quiet + RISE_SECONDS:
            found.append(f"the 99th percentile rose from {quiet * 1000:.0f} to {during * 1000:.0f} ms")
        return found

    def row(self, name: str) -> str:
        """Return the figures of the run as a row of the table."""
        stateless, handshake, (quiet, during) = self.crowd.stateless, self.crowd.handshake, self.p99()
        cells = [
            *(f"{len(stateless.answered)} / {len(stateless.failed)}", f"{quiet * 1000:.0f} -> {during * 1000:.0f} ms"),
            *(f"{len(handshake.answered)} / {handshake.refused} / {len(handshake.failed)}", str(len(handshake.lost))),
            f"{self.recovered - self.ended:.1f} s",
        ]
        return "| " + " | ".join([name, *cells]) + " |"


COLUMNS = (
    *("fault", "stateless calls: answered / failed", "their p99: quiet -> fault"),
    *("calls of sessions: answered / refused / failed", "sessions lost", "recovered"),
)


def run(place: FaultPlace, key: str, begin: Begin, seconds: float, clients: int) -> FaultRun:
    """Let clients call for some seconds, of which a quarter are quiet before the fault."""
    found = FaultRun(FaultCrowd(place.proxy.url, key))
    anyio.run(_call_while, found.crowd, clients, partial(_fault, place, found, begin, seconds))
    return found


async def _call_while(crowd: FaultCrowd, clients: int, disturb: Callable[[], None]) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(crowd.call, clients)
        try:
            await anyio.to_thread.run_sync(disturb)
        finally:
            crowd.stopped.set()


def _fault(place: FaultPlace, found: FaultRun, begin: Begin, seconds: float) -> None:
    pause, start = Event(), monotonic()  # never set: its timeouts are the times of the phases
    found.quiet = start + WARM_UP
    pause.wait(WARM_UP + seconds / 4)
    found.began = monotonic()
    end = begin(place)
    pause.wait(AWAY_SECONDS)
    end()
    found.ended = monotonic()
    place.await_recovery()
    found.recovered = monotonic()
    pause.wait(max(0.0, start + seconds - monotonic()))


def main() -> int:
    """Run the campaigns with the options of the command line, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="duration of each fault")
    parser.add_argument("--clients", type=int, default=50, help="number of clients, of both eras")
    parser.add_argument("--kills", type=int, default=210, help="number of kills in short cycles")
    options = parser.parse_args()
    problems: list[str] = []
    with fault_place() as place:
        key = key_in(place.new_key("campaign").communicate()[0])
        assert key is not None
        print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|", flush=True)
        for name, begin in FAULTS.items():
            found = run(place, key, begin, options.seconds, options.clients)
            print(found.row(name), flush=True)
            problems += [f"{name}: {problem}" for problem in found.problems()]
        killed = kill_repeatedly(place, key, options.kills)
        print(killed.summary(), flush=True)
        problems += killed.problems()
    limits = flood()
    print(limits.summary(), flush=True)
    problems += limits.problems()
    print("\n".join(problems[:40]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
