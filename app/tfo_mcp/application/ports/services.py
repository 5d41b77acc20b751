"""What handlers of tools, resources and prompts may use of the outside, gathered."""

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
    """What handlers may use of the outside."""

    files: FileStore
    commands: CommandRunner
    configuration: Callable[[], Mapping[str, Any]]
    """Gives the configuration in effect, secrets left out."""
    threads: FairThreads = field(default_factory=lambda: FairThreads(FUNCTION_THREADS, FUNCTION_THREADS_PER_ACCOUNT))
    """Run plain functions."""
