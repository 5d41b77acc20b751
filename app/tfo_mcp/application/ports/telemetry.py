"""The port of telemetry: traces and metrics of calls, for the operators of the server.

Attributes follow the OpenTelemetry semantic conventions for MCP and generative AI. Export belongs to the adapter.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from tfo_mcp.application.ports.model import ModelReply, ModelRequest
from tfo_mcp.domain.token_usage import TokenUsage


class Operation(NamedTuple):
    """Low-cardinality attributes of a finished call, used as metric labels.

    `version` is the MCP revision, `transport` the network transport (pipe, tcp, unix), `protocol` the network protocol
    (http, websocket). `error` is None on success, otherwise the error code as text, `tool_error`,
    `tool_internal_error` or `cancelled`. `status` is the error code, if the response has one.
    """

    method: str
    version: str
    transport: str
    protocol: str | None
    tool: str | None = None
    prompt: str | None = None
    error: str | None = None
    status: str | None = None


class Trace(Protocol):
    """Trace context of one call."""

    @property
    def trace_id(self) -> str:
        """The trace id, 32 hexadecimal digits."""

    @property
    def span_id(self) -> str:
        """The id of the call's span, 16 hexadecimal digits."""

    @property
    def recorded(self) -> bool:
        """Whether the span is recorded; otherwise its details need not be collected."""


class ModelCall(Protocol):
    """One observed request to a language model."""

    def answered(self, reply: ModelReply) -> None:
        """Record the model's reply."""

    def abandoned(self, usage: TokenUsage) -> None:
        """Record the tokens of a reply that was cancelled."""


class Telemetry(Protocol):
    """Records traces and metrics."""

    wants_content: bool
    """Whether the details of a call should include arguments and results."""

    def begin(self, sent: Mapping[str, Any], header: Callable[[str], str | None]) -> Trace | None:
        """Start the span of a call; return its trace, None if tracing is off.

        Spans that the call's task starts until `end` become children.

        Args:
            sent: the request's metadata, which may contain trace context and baggage (W3C).
            header: returns a header of the HTTP request, which may contain another trace context.
        """

    def end(self, trace: Trace | None, operation: Operation, seconds: float, details: Mapping[str, str]) -> None:
        """Record the end of a call; `details` are attributes of the span only, not of metrics."""

    def asking(self, request: ModelRequest, default_model: str) -> AbstractContextManager[ModelCall]:
        """Return a context manager that observes a request to a language model; a ModelFailed counts its tokens."""
