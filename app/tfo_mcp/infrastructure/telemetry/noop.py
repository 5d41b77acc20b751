"""NoTelemetry: the no-op adapter of the Telemetry port."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tfo_mcp.application.ports import ModelCall, ModelReply, ModelRequest, Operation, Trace
from tfo_mcp.domain.token_usage import TokenUsage


class _Unwatched:
    def answered(self, reply: ModelReply) -> None:
        """Do nothing."""

    def abandoned(self, usage: TokenUsage) -> None:
        """Do nothing."""


class NoTelemetry:
    """Records nothing."""

    wants_content = False

    def begin(self, sent: Mapping[str, Any], header: Callable[[str], str | None]) -> Trace | None:
        """Return None: there are no traces."""
        return None

    def end(self, trace: Trace | None, operation: Operation, seconds: float, details: Mapping[str, str]) -> None:
        """Do nothing."""

    @contextmanager
    def asking(self, request: ModelRequest, default_model: str) -> Iterator[ModelCall]:
        """Yield a no-op recorder."""
        yield _Unwatched()
