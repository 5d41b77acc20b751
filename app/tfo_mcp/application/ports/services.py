"""The services that handlers of tools, resources and prompts may use."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tfo_mcp.application.fair_threads import FairThreads
from tfo_mcp.application.ports.commands import CommandRunner
from tfo_mcp.application.ports.files import FileStore

FUNCTION_THREADS = 64
FUNCTION_THREADS_PER_ACCOUNT = 32


@dataclass(frozen=True, slots=True)
class Services:
    """The services that handlers may use."""

    files: FileStore
    commands: CommandRunner
    configuration: Callable[[], Mapping[str, Any]]
    """Returns the configuration in effect, without secrets."""
    threads: FairThreads = field(default_factory=lambda: FairThreads(FUNCTION_THREADS, FUNCTION_THREADS_PER_ACCOUNT))
    """Threads for synchronous plugin functions."""
