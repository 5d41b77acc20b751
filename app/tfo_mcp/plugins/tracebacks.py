"""Tracebacks in results: for the author of a plugin, who runs it on a server of their own. Never for other callers."""

import traceback
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tfo_mcp.application.context import RequestContext
from tfo_mcp.domain.errors import DomainError, OperationFailed
from tfo_mcp.domain.tool import Tool, ToolResult

_OWN_FRAMES = "tfo_mcp"


def with_traceback(tool: Tool) -> Tool:
    """Return a tool whose unexpected failures are results with the traceback of its function."""
    run = tool.run

    async def show_failure(arguments: Mapping[str, Any], request: RequestContext) -> ToolResult:
        try:
            return await run(arguments, request)
        except DomainError:
            raise
        except Exception as problem:
            raise OperationFailed(_text(problem)) from None

    return replace(tool, run=show_failure)


def _text(problem: BaseException) -> str:
    """Return the traceback without the frames of this package."""
    cause = problem.__cause__ or problem
    frames = [
        frame
        for frame in traceback.extract_tb(cause.__traceback__)
        if f"/{_OWN_FRAMES}/" not in frame.filename.replace("\\", "/")
    ]
    lines = traceback.format_list(frames) + traceback.format_exception_only(cause)
    return "Traceback (most recent call last):\n" + "".join(lines).rstrip()
