"""The tool system_info: what kind of machine the server runs on, and how busy it is.

Tells nothing of users, host names, the environment or other processes. What the platform does not say is null.
"""

import asyncio
import os
import platform
import shutil
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from app.plugins import Context, ToolHints, tool

_MEMORY = "/proc/meminfo"
_OWN_MEMORY = "/proc/self/statm"


@dataclass(frozen=True, slots=True)
class Space:
    """Memory or disk, in bytes."""

    total_bytes: int
    available_bytes: int


@dataclass(frozen=True, slots=True)
class SystemInfo:
    """The machine and the server's process."""

    platform: Annotated[str, Field(description="Operating system.")]
    release: Annotated[str, Field(description="Version of the operating system's kernel.")]
    architecture: str
    python_version: str
    cpu_count: int | None
    load_average: Annotated[tuple[float, float, float] | None, Field(description="Over the last 1, 5 and 15 minutes.")]
    memory: Space | None
    disk: Annotated[Space | None, Field(description="The disk that holds the first root.")]
    uptime_seconds: Annotated[int, Field(description="Age of the server process.")]
    resident_bytes: Annotated[int | None, Field(description="Memory of the server process.")]


@tool(
    title="System information",
    hints=ToolHints(read_only=True, destructive=False, idempotent=True, open_world=False),
)
async def system_info(ctx: Context) -> SystemInfo:
    """Tell the platform, processors, load, memory, disk space, and the server's age and memory."""
    uptime = (await ctx.health()).uptime_seconds
    roots = ctx.configuration().get("files", {}).get("roots", [])
    return await asyncio.to_thread(_measure, roots[0] if roots else ".", uptime)


def _measure(root: str, uptime_seconds: int) -> SystemInfo:
    return SystemInfo(
        platform=platform.system(),
        release=platform.release(),
        architecture=platform.machine(),
        python_version=platform.python_version(),
        cpu_count=os.cpu_count(),
        load_average=_load(),
        memory=_memory(),
        disk=_disk(root),
        uptime_seconds=uptime_seconds,
        resident_bytes=_resident(),
    )


def _load() -> tuple[float, float, float] | None:
    try:
        return os.getloadavg()
    except (AttributeError, OSError):
        return None


def _memory() -> Space | None:
    try:
        with open(_MEMORY, encoding="ascii") as lines:
            figures = dict(line.split(":", 1) for line in lines)
        total, available = (int(figures[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    except (OSError, LookupError, ValueError):
        return None
    return Space(total, available)


def _disk(root: str) -> Space | None:
    try:
        usage = shutil.disk_usage(root)
    except OSError:
        return None
    return Space(usage.total, usage.free)


def _resident() -> int | None:
    try:
        with open(_OWN_MEMORY, encoding="ascii") as figures:
            return int(figures.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, LookupError, ValueError):
        return None
