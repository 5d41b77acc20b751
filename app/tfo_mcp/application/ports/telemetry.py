"""The port of telemetry: what those who operate the server see of its calls.

Names follow OpenTelemetry's conventions for MCP and generative AI; what becomes of them is the adapter's affair.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from tfo_mcp.application.ports.model import ModelReply, ModelRequest


class Operation(NamedTuple):
    """What kind of call it was and how it ended, in words of which there are few, so that figures can be kept by them.

    `transport` is the network's (pipe, tcp, unix), `protocol` what is spoken over it (http, websocket); `error` is the
    code of the answer as text, `tool_error`, `tool_internal_error`, or why there was no answer; `status` the code, if
    the answer had one.
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
    """One call's place in a trace."""

    @property
    def trace_id(self) -> str:
        """The trace's id, 32 hexadecimal digits."""

    @property
    def span_id(self) -> str:
        """The call's own id in it, 16 hexadecimal digits."""

    @property
    def recorded(self) -> bool:
        """Whether the call becomes a span, so that its details are worth gathering."""


class ModelCall(Protocol):
    """One request to a language model, as it is watched."""

    def answered(self, reply: ModelReply) -> None:
        """The model has replied."""


class Telemetry(Protocol):
    """Watches calls."""

    wants_content: bool
    """Whether arguments and results belong to the details of a call."""

    def begin(self, sent: Mapping[str, Any], header: Callable[[str], str | None]) -> Trace | None:
        """A call begins; what it does until its end, in its own task, is part of it. None where there are no traces.

        Args:
            sent: the metadata of the request, in which the client's trace stands (W3C Trace Context and Baggage).
            header: gives a header of the message that carried the request, in which another trace may stand.
        """

    def end(self, trace: Trace | None, operation: Operation, seconds: float, details: Mapping[str, str]) -> None:
        """The call has ended; `details` are attributes of its span alone."""

    def asking(self, request: ModelRequest, model: str, max_tokens: int) -> AbstractContextManager[ModelCall]:
        """Watch a request to a language model, until the context is left."""
