"""Tracebacks in results: for the author of a plugin, who runs it on a server of their own. Never for other callers."""

import traceback
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import ParamSpec, TypeVar

from tfo_mcp.domain.errors import DomainError, OperationFailed
from tfo_mcp.domain.prompt import Prompt
from tfo_mcp.domain.tool import Tool
from tfo_mcp.plugins.definitions import Definition

ParametersT = ParamSpec("ParametersT")
ResultT = TypeVar("ResultT")
_OWN_FRAMES = "tfo_mcp"


def with_traceback(definition: Definition) -> Definition:
    """Return a definition whose unexpected failures show the traceback of its function."""
    if isinstance(definition, Tool):
        return replace(definition, run=_showing(definition.run))
    if isinstance(definition, Prompt):
        return replace(definition, render=_showing(definition.render))
    return replace(definition, read=_showing(definition.read))


def _showing(function: Callable[ParametersT, Awaitable[ResultT]]) -> Callable[ParametersT, Awaitable[ResultT]]:
    async def show_failure(*given: ParametersT.args, **named: ParametersT.kwargs) -> ResultT:
        try:
            return await function(*given, **named)
        except DomainError:
            raise
        except Exception as problem:
            raise OperationFailed(_text(problem)) from None

    return show_failure


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
