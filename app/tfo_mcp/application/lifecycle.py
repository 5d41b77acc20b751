"""Lifecycle: whether the server is starting, serves, or comes to its end, and whether what it needs is there."""

from collections.abc import Callable, Mapping
from typing import Literal

import anyio

Phase = Literal["starting", "serving", "draining"]

Needs = Mapping[str, Callable[[], bool]]
"""What serving needs, by the name of its setting: whether it is there. Looks must not wait for anybody."""


class Lifecycle:
    """One server's life. It begins to serve, and begins to stop, once."""

    def __init__(self, needs: Needs) -> None:
        self.stopping = anyio.Event()
        """Set when the server begins to stop."""
        self.missing: tuple[str, ...] = ()
        """What was needed and not there at the last look, by the names of the settings; may be read from any thread."""
        self._needs = needs
        self._started = False

    def start(self) -> None:
        """All is there that was to be made: the server can serve."""
        self._started = True

    @property
    def phase(self) -> Phase:
        """Where in its life the server is."""
        if self.stopping.is_set():
            return "draining"
        return "serving" if self._started else "starting"

    def look(self) -> tuple[str, ...]:
        """Look whether all is there that is needed, and return what is missing."""
        self.missing = tuple(name for name, is_there in self._needs.items() if not is_there())
        return self.missing
