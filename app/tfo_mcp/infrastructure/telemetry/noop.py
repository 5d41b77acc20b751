"""NoTelemetry: the Telemetry of who wants none."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tfo_mcp.application.ports import ModelCall, ModelReply, ModelRequest, Operation, Trace


class _Unwatched:
    def answered(self, reply: ModelReply) -> None:
        """Keep nothing."""


class NoTelemetry:
    """Watches nothing."""

    wants_content = False

    def begin(self, sent: Mapping[str, Any], header: Callable[[str], str | None]) -> Trace | None:
        """There are no traces."""
        return None

    def end(self, trace: Trace | None, operation: Operation, seconds: float, details: Mapping[str, str]) -> None:
        """Keep nothing."""

    @contextmanager
    def asking(self, request: ModelRequest, model: str, max_tokens: int) -> Iterator[ModelCall]:
        """Watch nothing."""
        yield _Unwatched()
