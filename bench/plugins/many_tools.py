"""BENCH_TOOLS tools (an environment variable), equal except for name and description.

They are registered like those of any plugin, as decorated functions of the module.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

from tfo_mcp.plugins import ToolHints, tool


def build(number: int) -> Callable[[str], Awaitable[str]]:
    """A decorated function that returns its message."""

    @tool(
        name=f"tool_{number:05d}",
        description=f"Answers with the message (tool {number})",
        hints=ToolHints(read_only=True),
    )
    async def echo(message: str) -> str:
        return message

    return echo


for _number in range(int(os.environ["BENCH_TOOLS"])):
    globals()[f"tool_{_number:05d}"] = build(_number)
