"""Tracing: one log line per call, tied to the client's trace where it sent one.

Says who called what, how it ended and how long it took; never arguments, session ids or keys.
"""

import re
from time import perf_counter
from typing import Any

from app.domain.errors import DomainError
from app.presentation.middleware import Following
from app.presentation.protocol.call import Call
from app.presentation.protocol.faults import Fault

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


class Tracing:
    """Writes the line of each call to a structlog logger."""

    def __init__(self, log: Any) -> None:
        self._log = log

    async def __call__(self, call: Call, following: Following) -> bytes:
        """Serve the call and write its line."""
        started = perf_counter()
        outcome = "cancelled"
        try:
            result = await following(call)
            outcome = call.outcome
            return result
        except (Fault, DomainError) as problem:
            outcome = problem.kind.value
            raise
        except Exception:
            outcome = "internal"
            raise
        finally:
            self._write(call, outcome, perf_counter() - started)

    def _write(self, call: Call, outcome: str, seconds: float) -> None:
        fields: dict[str, object] = {
            "method": call.method,
            "outcome": outcome,
            "ms": round(seconds * 1000, 3),
            "caller": call.caller.name,
            "transport": call.facts.transport,
            "revision": call.revision.version,
        }
        name = call.params.get("name")
        if name is not None:
            fields["name"] = name
        trace = call.meta.get("traceparent")
        if isinstance(trace, str) and (found := _TRACEPARENT.fullmatch(trace)):
            fields["trace_id"] = found[1]
        self._log.info("call", **fields)
