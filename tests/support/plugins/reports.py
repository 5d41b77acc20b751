"""Tools that report progress and log, and tools that misuse the standard streams of the process."""

import logging
import os
import subprocess
import sys
import warnings
from typing import Literal

from tfo_mcp.plugins import Context, SyncContext, ToolHints, tool

READ_ONLY = ToolHints(read_only=True)
Level = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
LEVELS: tuple[Level, ...] = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")


@tool(hints=READ_ONLY)
async def progress(values: list[float], ctx: Context) -> str:
    """Report these values, of a total of 100."""
    for value in values:
        await ctx.progress(value, total=100, message=f"at {value:g}")
    return "reported"


@tool(hints=READ_ONLY)
def progress_from_a_thread(ctx: SyncContext) -> str:
    """Report twice from a plain function."""
    ctx.progress(1)
    ctx.progress(2.5)
    return "reported"


@tool(hints=READ_ONLY)
async def speak(ctx: Context) -> str:
    """Log once at every level."""
    for level in LEVELS:
        await ctx.log(level, {"said": level}, logger="speaker")
    return "spoken"


@tool(hints=READ_ONLY)
async def speak_and_fail(ctx: Context) -> str:
    """Log, then crash."""
    await ctx.log("error", "before the crash")
    raise RuntimeError("secret-detail at /etc/secret-path")


@tool(hints=READ_ONLY)
async def flood(count: int, ctx: Context) -> str:
    """Report progress and log as fast as possible."""
    for number in range(1, count + 1):
        await ctx.progress(number, total=count)
        await ctx.log("emergency", number)
    return "flooded"


@tool(hints=READ_ONLY)
def soil_stdout() -> str:
    """Write to standard output in every possible way."""
    print("printed")
    sys.stdout.write("written\n")
    sys.stdout.flush()
    os.write(1, b"from the descriptor\n")
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
    subprocess.run("echo from a shell", shell=True, check=True)
    logging.getLogger("reports.log").error("from a logger")
    warnings.warn("a warning from a plugin", stacklevel=1)
    return "soiled"


@tool(hints=READ_ONLY)
def read_stdin() -> str:
    """Read standard input, which is reserved for the transport."""
    return f"read {os.read(0, 100)!r}, a child {subprocess.run(['cat'], capture_output=True, check=True).stdout!r}"


@tool(hints=READ_ONLY)
def long_text(length: int) -> str:
    """Answer with many lines."""
    return "x\n" * (length // 2)
