"""The port of the worker processes of one server: what each of them knows of the others."""

from typing import Protocol


class Workers(Protocol):
    """The worker processes of one server on one machine, as one of them sees them; never waits."""

    @property
    def count(self) -> int:
        """The number of workers that serve."""

    @property
    def is_complete(self) -> bool:
        """Whether all workers that the settings ask for serve."""

    def count_call(self, *, failed: bool) -> None:
        """Count a tool call of this worker."""

    def calls(self) -> tuple[int, int]:
        """Return the tool calls of all workers since the start, ended workers included, and the failed ones."""
