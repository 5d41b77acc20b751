"""The services that handlers of tools, resources and prompts may use."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any

from tfo_mcp.application.fair_threads import FairThreads
from tfo_mcp.application.ports.commands import CommandRunner
from tfo_mcp.application.ports.files import FileStore
from tfo_mcp.application.ports.metric_service import MetricService
from tfo_mcp.application.ports.telemetry_store import TelemetryStore
from tfo_mcp.domain.access import Caller
from tfo_mcp.value_objects import value_object

MAX_RESULT_BYTES = 40_000
FUNCTION_THREADS = 64
FUNCTION_THREADS_PER_ACCOUNT = 32


@value_object
class Services:
    """The services that handlers may use."""

    files: FileStore
    commands: CommandRunner
    configuration: Callable[[], Mapping[str, Any]]
    """Returns the configuration in effect, without secrets."""
    max_result_bytes: int = MAX_RESULT_BYTES
    """Maximum bytes of text in a tool's result that a language model should get."""
    telemetry: Callable[[Caller], TelemetryStore] | None = None
    """Returns the telemetry store with the records that a caller may read; None if there is no store."""
    metrics: Callable[[Caller], MetricService | None] | None = None
    """Returns the metric service for a caller, None if the caller may not use it; None if there is none."""
    slos: Sequence[str] = ()
    """Objectives of observed services, such as `cart: 99.9 %`."""
    threads: FairThreads = field(default_factory=lambda: FairThreads(FUNCTION_THREADS, FUNCTION_THREADS_PER_ACCOUNT))
    """Threads for synchronous plugin functions."""
