"""OneProcess: the Workers port of a server that has one process only."""


class OneProcess:
    """Counts calls in the memory of this process."""

    def __init__(self) -> None:
        self._calls = 0
        self._failed = 0

    @property
    def count(self) -> int:
        """One."""
        return 1

    @property
    def is_complete(self) -> bool:
        """True: this process serves."""
        return True

    def count_call(self, *, failed: bool) -> None:
        """Count a tool call."""
        self._calls += 1
        self._failed += failed

    def calls(self) -> tuple[int, int]:
        """Return the number of tool calls, and of failed ones."""
        return self._calls, self._failed
