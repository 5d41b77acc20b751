"""Signals during the start: a server whose lifespans have not reached their yield ends promptly, on every transport."""

import select
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from tests.e2e.one_run import printed
from tests.support.deadlines import QUICK, wait_until
from tests.support.processes import Child, child, free_port

PLUGIN = '''\
import asyncio, time
from pathlib import Path

from tfo_mcp.plugins import lifespan, tool


@lifespan
async def quick():
    yield
    Path("ended").touch()


@lifespan
async def slow():
    Path("begun").touch()
    {wait}
    yield


@tool
def add(a: int, b: int) -> int:
    """Add."""
    return a + b
'''
SETTINGS = "{mcp: {plugins: [slow]}, storage: {url: 'memory:'}}"
QUICK_DRAIN = {"TELEMETRYFLOW_MCP_SERVER_DRAIN_SECONDS": "0.5"}
ONE_TRANSPORT = ("serve", "--transport")
SERVERS = {
    "stdio": (*ONE_TRANSPORT, "stdio"),
    "http": (*ONE_TRANSPORT, "http", "--port"),
    "all": (*ONE_TRANSPORT, "all", "--port"),
    "unix": (*ONE_TRANSPORT, "unix", "--path", "socket"),
    "dev": ("dev", "slow.py", "--port"),
}


def arguments(name: str, folder: Path, wait: str) -> Sequence[str]:
    """Write the files of a server, and return its command line."""
    (folder / "slow.py").write_text(PLUGIN.format(wait=wait))
    (folder / "tfo-mcp.yaml").write_text(SETTINGS)
    line = SERVERS[name]
    return [*line, str(free_port())] if line[-1] == "--port" else line


@contextmanager
def started(
    line: Sequence[str], folder: Path, variables: Mapping[str, str] | None = None
) -> Iterator[tuple[Child, IO[bytes]]]:
    """Run the command in the folder until the end of the block; yield it with its standard output."""
    with child(line, pipes=True, directory=folder, variables=variables) as running:
        assert running.process.stdout is not None
        with running.process.stdout as output:
            yield running, output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.parametrize("name", SERVERS)
def test_a_signal_ends_a_server_whose_lifespan_waits(name: str, number: signal.Signals, tmp_path: Path) -> None:
    line = arguments(name, tmp_path, "await asyncio.sleep(600)")
    with started(line, tmp_path) as (running, output):
        wait_until((tmp_path / "begun").exists, "the lifespan has begun")
        running.process.send_signal(number)
        assert running.wait(QUICK) == 0
        assert output.read() == b""  # nothing is served yet, so the addresses are not printed
        assert "Traceback" not in running.stderr()
        assert "has not reached" not in running.stderr()
    assert (tmp_path / "ended").exists()


@pytest.mark.parametrize("name", ["stdio", "http"])
def test_a_signal_ends_a_server_whose_lifespan_blocks_the_event_loop(name: str, tmp_path: Path) -> None:
    line = arguments(name, tmp_path, "time.sleep(600)")
    with started(line, tmp_path, QUICK_DRAIN) as (running, _):
        wait_until((tmp_path / "begun").exists, "the lifespan has begun")
        running.terminate()
        assert running.wait(QUICK) == 0


def test_an_interrupt_ends_a_command_whose_lifespan_waits(tmp_path: Path) -> None:
    arguments("http", tmp_path, "await asyncio.sleep(600)")
    with started(["list", "tools"], tmp_path) as (running, _):
        wait_until((tmp_path / "begun").exists, "the lifespan has begun")
        running.process.send_signal(signal.SIGINT)
        assert running.wait(QUICK) == 128 + signal.SIGINT
        assert "Traceback" not in running.stderr()
    assert (tmp_path / "ended").exists()


@pytest.mark.parametrize("wait", ["raise SystemExit(0)", "raise KeyboardInterrupt", "raise asyncio.CancelledError"])
@pytest.mark.parametrize("name", ["stdio", "http"])
def test_a_lifespan_that_raises_before_its_yield_ends_the_start_with_one_line(
    name: str, wait: str, tmp_path: Path
) -> None:
    raised = wait.removeprefix("raise ").rpartition(".")[2].partition("(")[0]
    with started(arguments(name, tmp_path, wait), tmp_path) as (running, _):
        assert running.wait(QUICK) == 2
        (line,) = [line for line in running.log_lines() if line.startswith("tfo-mcp: ")]
        assert f"Lifespan slow failed: {raised}" in line
        assert "Traceback" not in running.stderr()
    assert (tmp_path / "ended").exists()


def test_the_addresses_are_printed_after_the_lifespans_have_begun(tmp_path: Path) -> None:
    wait = "await asyncio.to_thread(lambda: [time.sleep(0.01) for _ in iter(Path('go').exists, True)])"
    with started(arguments("http", tmp_path, wait), tmp_path) as (running, output):
        wait_until((tmp_path / "begun").exists, "the lifespan has begun")
        assert select.select([output], [], [], 0)[0] == []
        (tmp_path / "go").touch()
        printed(running, r"Ctrl\+C")
