"""What handlers of tools, resources and prompts may use of the outside, gathered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.application.ports.commands import CommandRunner
from app.application.ports.files import FileStore


@dataclass(frozen=True, slots=True)
class Services:
    """What handlers may use of the outside."""

    files: FileStore
    commands: CommandRunner
    configuration: Callable[[], Mapping[str, Any]]
    """Gives the configuration in effect, secrets left out."""
