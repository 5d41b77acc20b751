"""Lifecycle: the server's phase (starting, serving, draining) and the availability of its dependencies."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

import anyio

Phase = Literal["starting", "serving", "draining"]

Needs = Mapping[str, Callable[[], bool]]
"""Checks of the server's dependencies, by the name of the setting; they must not block."""


class Lifecycle:
    """The lifecycle of one server: it starts serving once and begins to stop once.

    Args:
        needs: dependencies without which the server is not ready.
        optional: dependencies without which it goes on with less.
    """

    def __init__(self, needs: Needs, optional: Needs = MappingProxyType({})) -> None:
        self.stopping = anyio.Event()
        """Set when the server begins to stop."""
        self.missing: tuple[str, ...] = ()
        """Names of the settings whose dependencies failed the last check; may be read from any thread."""
        self.reduced: tuple[str, ...] = ()
        """Names of the services that failed the last check, without which the server goes on with less."""
        self._needs = needs
        self._optional = optional
        self._started = False

    def start(self) -> None:
        """Enter the phase `serving`: startup is complete."""
        self._started = True

    @property
    def phase(self) -> Phase:
        """The current phase."""
        if self.stopping.is_set():
            return "draining"
        return "serving" if self._started else "starting"

    def look(self) -> tuple[str, ...]:
        """Run the dependency checks and return the names of those that fail."""
        self.missing = tuple(name for name, is_there in self._needs.items() if not is_there())
        self.reduced = tuple(name for name, is_there in self._optional.items() if not is_there())
        return self.missing
