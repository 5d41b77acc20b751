"""NestedCalls: tools that a call uses on behalf of its caller, through the dispatcher as if the client had called them.

A nested call has the caller, session and account of the outer one, but no channel to the client: it sends no progress
and cannot ask the user. It is cancelled with the outer call.
"""

from collections.abc import Mapping
from typing import Any

from tfo_mcp.application.ports import Trace
from tfo_mcp.domain.interaction import NO_CAPABILITIES
from tfo_mcp.domain.tool import ToolResult
from tfo_mcp.presentation.jsonrpc import Request
from tfo_mcp.presentation.protocol.call import Call, Correlation, Outlet
from tfo_mcp.presentation.protocol.faults import Fault

_METHOD = "tools/call"


class NestedCalls:
    """Calls tools on behalf of `outer`."""

    def __init__(self, outer: Call) -> None:
        self._outer = outer

    async def call(self, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        """Call a tool and return its result; every failure is an error result."""
        outer = self._outer
        assert outer.serve is not None
        nested = _nested(outer, name, arguments)
        try:
            await outer.serve(nested)
        except Fault as fault:
            return ToolResult.error(fault.message)
        finally:
            nested.is_settled = True
        return nested.result or ToolResult.error("The tool failed with an internal error")


def _nested(outer: Call, name: str, arguments: Mapping[str, Any]) -> Call:
    # the headers mirror the outer message
    facts = outer.facts._replace(headers={}, transport=outer.facts.transport._replace(mirrors_messages=False))
    return Call(
        Request(outer.id, _METHOD, {"name": name, "arguments": dict(arguments)}),
        outer.era,
        outer.revision,
        facts,
        Outlet(),
        Correlation(outer.correlation.session_id),
        capabilities=NO_CAPABILITIES,
        meta={} if outer.trace is None else {"traceparent": _traceparent(outer.trace)},
        log_level=None,
        session=outer.session,
        parent=outer,
    )


def _traceparent(trace: Trace) -> str:
    return f"00-{trace.trace_id}-{trace.span_id}-{'01' if trace.recorded else '00'}"
