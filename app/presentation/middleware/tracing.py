"""Tracing: one log line per call, tied to the client's trace where it sent one.

Says who called what, how it ended and how long it took; never arguments, session ids or keys.
"""

import re
from time import perf_counter

import structlog

from app.domain.errors import DomainError
from app.presentation.middleware import Following
from app.presentation.protocol.call import Call
from app.presentation.protocol.faults import Fault

_log = structlog.get_logger("tfo_mcp.calls")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


async def tracing(call: Call, following: Following) -> bytes:
    """Serve the call and write its line."""
    started = perf_counter()
    outcome = "cancelled"
    try:
        result = await following(call)
        outcome = "ok"
        return result
    except (Fault, DomainError) as problem:
        outcome = problem.kind.value
        raise
    except Exception:
        outcome = "internal"
        raise
    finally:
        fields: dict[str, object] = {
            "method": call.method,
            "outcome": outcome,
            "ms": round((perf_counter() - started) * 1000, 3),
            "caller": call.caller.name,
            "transport": call.facts.transport,
            "revision": call.revision.version,
        }
        name = call.params.get("name")
        if isinstance(name, str):
            fields["name"] = name
        trace = call.meta.get("traceparent")
        if isinstance(trace, str) and (found := _TRACEPARENT.fullmatch(trace)):
            fields["trace_id"] = found[1]
        _log.info("call", **fields)
