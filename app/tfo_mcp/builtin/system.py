"""The tool system_info, which reports the machine's platform, load and resources, and the container's limits.

It reveals no users, host names, environment variables or other processes. Values that the platform does not provide
are null.
"""

import os
import platform
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_core import to_json

from tfo_mcp.plugins import Context, Text, ToolHints, ToolResult, tool
from tfo_mcp.value_objects import value_object

_CGROUP = Path("/sys/fs/cgroup")


@value_object
class Space:
    """Total and available memory or swap, in bytes."""

    total_bytes: int
    available_bytes: int


@value_object
class Processors:
    """Number of processors and their load."""

    logical: Annotated[int | None, Field(description="Number of logical processors.")]
    physical: Annotated[int | None, Field(description="Number of physical cores.")]
    usable: Annotated[int | None, Field(description="Number of logical processors that the server may run on.")]
    load_average: Annotated[
        tuple[float, float, float] | None, Field(description="Load average over the last 1, 5 and 15 minutes.")
    ]


@value_object
class Disk:
    """Disk space of the file system that holds a root directory."""

    root: str
    total_bytes: int
    available_bytes: int


@value_object
class ServerProcess:
    """Metrics of the server's own process."""

    uptime_seconds: int
    resident_bytes: int
    threads: int
    open_files: int | None


@value_object
class ContainerLimits:
    """Limits of the server's cgroup; null if there is no limit or it is unknown."""

    memory_bytes: int | None
    processors: Annotated[float | None, Field(description="CPU limit in number of processors.")]
    processes: Annotated[int | None, Field(description="Maximum number of processes and threads.")]


@value_object
class SystemInfo:
    """The machine, the server's process and its limits."""

    platform: Annotated[str, Field(description="Name of the operating system, such as Linux.")]
    release: Annotated[str, Field(description="Kernel version.")]
    architecture: str
    python_version: str
    processors: Processors
    memory: Space
    swap: Space
    disks: list[Disk]
    process: ServerProcess
    container: ContainerLimits


@tool(
    title="System information",
    hints=ToolHints(read_only=True, destructive=False, idempotent=True, open_world=False),
    output_schema={"type": "object"},
)
async def system_info(ctx: Context) -> ToolResult:
    """Get the server's platform, processors, load, memory, disk space, process and container limits."""
    uptime = (await ctx.health()).uptime_seconds
    info = asdict(await ctx.in_thread(_measure, [root.path for root in ctx.files.roots], uptime))
    return ToolResult((Text(to_json(info).decode()),), info)


def _measure(roots: Sequence[str], uptime_seconds: int) -> SystemInfo:
    import psutil  # imported on first use: it slows startup

    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    return SystemInfo(
        platform=platform.system(),
        release=platform.release(),
        architecture=platform.machine(),
        python_version=platform.python_version(),
        processors=_processors(),
        memory=Space(memory.total, memory.available),
        swap=Space(swap.total, swap.free),
        disks=_disks(roots),
        process=_process(uptime_seconds),
        container=ContainerLimits(
            memory_bytes=_limit("memory.max", "memory/memory.limit_in_bytes"),
            processors=_processor_limit(),
            processes=_limit("pids.max", "pids/pids.max"),
        ),
    )


def _processors() -> Processors:
    import psutil

    load: tuple[float, float, float] | None = None
    with suppress(OSError, AttributeError):
        load = psutil.getloadavg()
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return Processors(psutil.cpu_count(), psutil.cpu_count(logical=False), usable, load)


def _disks(roots: Sequence[str]) -> list[Disk]:
    import psutil

    disks: list[Disk] = []
    for root in roots:
        with suppress(OSError):
            usage = psutil.disk_usage(root)
            disks.append(Disk(root, usage.total, usage.free))
    return disks


def _process(uptime_seconds: int) -> ServerProcess:
    import psutil

    own = psutil.Process()
    open_files: int | None = None
    with suppress(psutil.Error, AttributeError, OSError):
        open_files = own.num_fds()
    return ServerProcess(uptime_seconds, own.memory_info().rss, own.num_threads(), open_files)


def _limit(*names: str) -> int | None:
    """Return a cgroup limit, given the names of its file in cgroup v2 and v1; None if unlimited or unknown."""
    words = _words(*names)
    if not words or not words[0].isdigit():
        return None
    limit = int(words[0])
    return limit if limit < 1 << 60 else None  # cgroup v1 reports "no limit" as a huge number


def _processor_limit() -> float | None:
    match _words("cpu.max"):
        case [quota, period, *_] if quota.isdigit() and int(period):
            return int(quota) / int(period)
    quota_1, period_1 = _limit("cpu/cpu.cfs_quota_us"), _limit("cpu/cpu.cfs_period_us")
    return quota_1 / period_1 if quota_1 and period_1 else None


def _words(*names: str) -> list[str]:
    for name in names:
        with suppress(OSError, UnicodeDecodeError):
            return (_CGROUP / name).read_text(encoding="ascii").split()
    return []
