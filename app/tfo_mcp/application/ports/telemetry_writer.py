"""Port for writing telemetry: rows of the tables of a store, as lines of JSON."""

from collections.abc import Mapping, Sequence
from typing import Protocol


class RecordsNotWritten(Exception):
    """Records could not be written; the text says why, without their contents.

    Args:
        reason: why.
        is_final: whether nothing can be written any more.
        is_outage: whether no other records could be written at the moment either.
    """

    def __init__(self, reason: str, *, is_final: bool = False, is_outage: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final
        self.is_outage = is_outage or is_final


class TelemetryWriter(Protocol):
    """Writes rows; called by one thread only."""

    def insert(self, lines: Mapping[str, Sequence[bytes]]) -> None:
        """Write rows, as lines of JSON by table.

        Raises:
            RecordsNotWritten: not all are written; a writer without transactions may have written some tables.
        """

    def close(self) -> None:
        """Free what it has opened."""
