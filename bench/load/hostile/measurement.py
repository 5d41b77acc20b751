"""Memory and processor time of a server and its children, such as the program that searches files."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from bench.load.memory import peak_bytes, resident_bytes

PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")
SAMPLE_SECONDS = 0.02
LOOK_SECONDS = 0.05
REST_LOOKS = 12
MOST_BYTES = 2 * 1024**3
REST_SECONDS = 4.0
REST_SHARE = 0.002
"""Memory that changes by less than this part of it is at rest."""


def ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether the server process has ended."""
    return process.poll() is not None


def children(pid: int) -> list[int]:
    """Return the processes that descend from one; none of one that has ended.

    A child that has not become another program yet is left out: it shares the memory of its parent.
    """
    found: list[int] = []
    try:
        own = _command(pid)
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                if _command(child) != own:
                    found += [child, *children(child)]
    except OSError:
        return found
    return found


def _command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def memory_bytes(process: subprocess.Popen[bytes]) -> int:
    """Return the resident bytes of a server and its children, or 0 when it has ended."""
    if ended(process):
        return 0
    return resident_bytes(process) + sum(_pages(pid) for pid in children(process.pid)) * PAGE


def processor_seconds(process: subprocess.Popen[bytes]) -> float:
    """Return the processor time that a server and the children that it has now have used."""
    return sum(_ticks(pid) for pid in (process.pid, *children(process.pid))) / TICKS


async def busy_share(process: subprocess.Popen[bytes], seconds: float) -> float:
    """Return which share of a core the server and its children use during so many seconds."""
    before, begin = processor_seconds(process), time.monotonic()
    await asyncio.sleep(seconds)
    return max(0.0, processor_seconds(process) - before) / (time.monotonic() - begin)


async def at_rest(process: subprocess.Popen[bytes], enough: float, seconds: float) -> int:
    """Return the memory once it is at most `enough`, or after `seconds`, and has come to rest.

    Args:
        process: the server.
        enough: bytes.
        seconds: how long to wait for `enough`; coming to rest takes REST_SECONDS more at most.
    """
    seen: list[int] = []

    def rests() -> bool:
        seen.append(memory_bytes(process))
        return _rests(seen)

    await came(lambda: memory_bytes(process) <= enough, seconds)
    await came(rests, REST_SECONDS)
    return seen[-1]


async def came(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition; return whether it came within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(LOOK_SECONDS)
    return True


def _rests(seen: list[int]) -> bool:
    latest = seen[-REST_LOOKS:]
    return len(latest) == REST_LOOKS and max(latest) - min(latest) <= REST_SHARE * max(latest)


class PeakWatch:
    """Samples the memory of a server and its children until it is cancelled; kills them when it exceeds MOST_BYTES."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.peak = 0
        self.overslept = 0.0
        """By how many seconds this process woke up too late, at worst: then the machine was busy, not the server."""

    async def run(self) -> None:
        """Sample every SAMPLE_SECONDS."""
        while not ended(self._process):
            pids = (self._process.pid, *children(self._process.pid))
            self.peak = max(self.peak, sum(map(_pages, pids)) * PAGE)
            if self.peak > MOST_BYTES:
                _kill(pids)
            begin = time.monotonic()
            await asyncio.sleep(SAMPLE_SECONDS)
            self.overslept = max(self.overslept, time.monotonic() - begin - SAMPLE_SECONDS)

    def highest(self) -> int:
        """Return the highest memory in bytes: that of the samples, or the server's own as the kernel noted it."""
        return self.peak if ended(self._process) else max(self.peak, peak_bytes(self._process))


def _kill(pids: Sequence[int]) -> None:
    """Kill the server and its children, which this machine has no memory for."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _pages(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0


def _ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])
    except (OSError, IndexError):
        return 0
