"""`python -m tests.e2e.rolling_restart`: restart servers behind nginx in turn, while clients call continuously.

    python -m tests.e2e.rolling_restart --seconds 60 --clients 50 --restarts 3

The servers are three replicas that share a Redis and a PostgreSQL, with no affinity; with `--sticky`, two servers that
share nothing, so that sessions are sticky and end with their process. Half of the clients use the stateless era; the
other half use the handshake era, with sessions and longer calls. Prints the outcome of the calls. The exit code is 1
when a call failed or was lost.
"""

import argparse
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event
from time import monotonic

import anyio
import anyio.to_thread

from tests.e2e.restart_clients import Crowd
from tests.e2e.restartable import Restartable, restartables
from tests.support.balanced import shared_state
from tests.support.nginx import Nginx, nginx
from tests.support.processes import PROJECT

CONFIGURATION = {
    "mcp": {"plugins": ["tests.support.plugins.work"]},
    "security": {"require_key": False, "anonymous": "all", "audit": False},
    "server": {"trusted_proxies": ["127.0.0.1"]},
    "logging": {"level": "warning"},
}
VARIABLES = {"PYTHONPATH": str(PROJECT)}
STOP_SECONDS = 45.0  # the drain time and a margin
SHOWN = 8  # problems that are printed


@dataclass(frozen=True)
class Restart:
    """One restart; `in_flight` counts the handshake calls of all processes at the time of SIGTERM."""

    in_flight: int
    exit_code: int
    stop_seconds: float
    away_seconds: float
    said: str


@dataclass
class Outcome:
    """The results of a run; `shared` says whether the servers share their sessions."""

    crowd: Crowd
    shared: bool
    restarts: list[Restart] = field(default_factory=list)
    proxy: Sequence[str] = ()
    """Lines of nginx's error log."""

    def problems(self) -> list[str]:
        """Return the problems of the run, one line each."""
        found = [f"failed: {one}" for one in self.crowd.stateless.failed]
        found += [f"lost: {one}" for one in self.crowd.lost()]
        found += [f"no session: {one}" for one in self.crowd.handshake.failed_handshakes]
        found += [f"done twice: {one}" for one in self.crowd.done_twice()]
        if self.shared:
            found += [f"refused: {one}" for one in self.crowd.handshake.refused]
        found += [f"exit code {one.exit_code}: {one.said}" for one in self.restarts if one.exit_code != 0]
        return found


def run(directory: Path, seconds: float, clients: int, restarts: int, *, shared: bool) -> Outcome:
    """Restart each of the servers while clients call.

    Args:
        directory: an empty directory for the files of nginx and the clients.
        seconds: duration of the run, over which the restarts are spread evenly.
        clients: number of clients.
        restarts: number of restarts of each server.
        shared: whether the servers are replicas.

    Raises:
        StartError: nginx or a server does not start.
    """
    with replicas(directory) if shared else strangers(directory) as (servers, proxy):
        outcome = Outcome(Crowd(proxy.url, directory / "ledger"), shared)
        anyio.run(_call_while, outcome, clients, partial(_restart_in_turn, outcome, servers, seconds, restarts))
        outcome.proxy = proxy.problems()
    return outcome


@contextmanager
def strangers(directory: Path) -> Iterator[tuple[list[Restartable], Nginx]]:
    """Run two servers that share nothing, and an nginx with sticky sessions, until the end of the block."""
    with (
        restartables(2, CONFIGURATION, VARIABLES) as servers,
        nginx(directory, *(server.port for server in servers)) as proxy,
    ):
        yield servers, proxy


@contextmanager
def replicas(directory: Path) -> Iterator[tuple[list[Restartable], Nginx]]:
    """Run three servers, what they share, and an nginx without any affinity, until the end of the block."""
    with (
        shared_state() as shared,
        restartables(3, CONFIGURATION, {**VARIABLES, **shared.variables}) as servers,
        nginx(directory, *(server.port for server in servers), sessions="tfo_mcp_any") as proxy,
    ):
        yield servers, proxy


async def _call_while(outcome: Outcome, clients: int, restart: Callable[[], None]) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(outcome.crowd.call, clients)
        try:
            await anyio.to_thread.run_sync(restart)
        finally:
            outcome.crowd.stopped.set()


def _restart_in_turn(outcome: Outcome, servers: Sequence[Restartable], seconds: float, restarts: int) -> None:
    began, times = monotonic(), len(servers) * restarts
    pause = Event()  # never set: its timeout is the time of the next restart
    for number in range(times):
        pause.wait(began + seconds * (number + 1) / (times + 1) - monotonic())
        outcome.restarts.append(_restart(servers[number % len(servers)], outcome.crowd))
    pause.wait(began + seconds - monotonic())


def _restart(server: Restartable, crowd: Crowd) -> Restart:
    in_flight, child, began = crowd.handshake.in_flight, server.child, monotonic()
    server.tell_to_stop()
    exit_code, stopped = child.wait(STOP_SECONDS), monotonic()
    said = child.stderr()
    server.start()
    return Restart(in_flight, exit_code, stopped - began, monotonic() - stopped, said)


def table(outcome: Outcome) -> str:
    """Return the results of a run as a small table, followed by the first problems."""
    crowd, restarts = outcome.crowd, outcome.restarts
    stateless, handshake = crowd.stateless, crowd.handshake
    rows: list[tuple[str, object, object]] = [
        ("", "stateless", "handshake"),
        ("calls answered", stateless.answered, handshake.answered),
        ("calls failed, or begun and lost", len(stateless.failed), len(crowd.lost())),
        ("calls refused before they began", "-", len(handshake.refused)),
        ("sessions begun", "-", handshake.sessions),
        ("sessions refused", "-", len(handshake.failed_handshakes)),
        ("slowest call, seconds", f"{stateless.slowest:.2f}", f"{handshake.slowest:.2f}"),
    ]
    lines = [f"{name:34}{one!s:>12}{other!s:>12}" for name, one, other in rows]
    lines += [
        f"calls done twice: {len(crowd.done_twice())}",
        f"restarts: {len(restarts)}; calls in flight at SIGTERM: {[one.in_flight for one in restarts]}",
        f"seconds until the process ended: {[round(one.stop_seconds, 1) for one in restarts]}",
        f"seconds until the next one was ready: {[round(one.away_seconds, 1) for one in restarts]}",
        "errors in the log of nginx, which retries where it can:",
    ]
    lines += [f"{times:8} {kind}" for kind, times in Counter(map(_kind, outcome.proxy)).most_common()]
    problems = outcome.problems()
    lines += problems[:SHOWN]
    if len(problems) > SHOWN:
        lines.append(f"and {len(problems) - SHOWN} more")
    return "\n".join(lines)


def _kind(line: str) -> str:
    """Return a line of nginx's error log without the details of its request."""
    return re.sub(r"^.*?\*\d+ |, client: .*$", "", line)


def main() -> int:
    """Run the restarts with the options of the command line, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="duration of the run")
    parser.add_argument("--clients", type=int, default=50, help="number of clients, of both eras")
    parser.add_argument("--restarts", type=int, default=3, help="number of restarts of each server")
    parser.add_argument("--sticky", action="store_true", help="two servers that share nothing, and sticky sessions")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        given = Path(directory), options.seconds, options.clients, options.restarts
        outcome = run(*given, shared=not options.sticky)
    print(table(outcome))
    return 1 if outcome.problems() else 0


if __name__ == "__main__":
    sys.exit(main())
