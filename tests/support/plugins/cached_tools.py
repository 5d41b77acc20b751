"""Cached tools that record how often they run: a line with the process id in the file `runs` of a folder."""

import os
from pathlib import Path
from typing import Any

import anyio

from tfo_mcp.plugins import Image, Text, ToolError, ToolHints, ToolResult, tool

READ_ONLY = ToolHints(read_only=True)
LOOK_AGAIN = 0.01  # seconds between two polls


def record(folder: str) -> None:
    """Add a line to the runs."""
    with Path(folder, "runs").open("a") as runs:
        runs.write(f"{os.getpid()}\n")


@tool(hints=READ_ONLY, cache=60)
def kept(folder: str, question: dict[str, Any]) -> ToolResult:
    """Return a block of each kind of content that matters here, and a structure."""
    record(folder)
    return ToolResult((Text("answer"), Image(b"\x89PNG\0", "image/png")), {"question": question, "nothing": None})


@tool(hints=READ_ONLY, cache=60)
async def slow(folder: str) -> int:
    """Wait until the file `go` exists, and return the id of the process."""
    record(folder)
    with anyio.fail_after(20):
        while not Path(folder, "go").exists():
            await anyio.sleep(LOOK_AGAIN)
    return os.getpid()


@tool(hints=READ_ONLY, cache=60)
def failing(folder: str) -> str:
    """Fail."""
    record(folder)
    raise ToolError("not today")
