"""The cells of a SELECT's answer: plain values, within limits of bytes."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from pydantic_core import to_json

from tfo_mcp.application.ports.telemetry_store import Cell, SelectedRows

_MOST_ANSWER_BYTES = 2 * 1024 * 1024
_VALUE_LENGTH = 2000


def bounded_rows(names: Sequence[str], rows: Iterable[Sequence[Any]], most_rows: int) -> SelectedRows:
    """Return up to `most_rows` rows, and up to 2 MiB of them."""
    found: list[Sequence[Cell]] = []
    size = 0
    for row in rows:
        cells = [_cell(value) for value in row]
        size += sum(len(cell) if isinstance(cell, str) else 8 for cell in cells)
        if len(found) == most_rows or size > _MOST_ANSWER_BYTES:
            return SelectedRows(names, found, complete=False)
        found.append(cells)
    return SelectedRows(names, found, complete=True)


def _cell(value: Any) -> Cell:
    """Return a value as text, or as number; times are ISO 8601 in UTC, lists and maps JSON."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            text = value
        case Decimal():
            return float(value)
        case datetime() if value.tzinfo is None:
            text = f"{value.isoformat()}Z"
        case date():
            text = value.isoformat()
        case timedelta():
            text = f"{value.total_seconds():g} s"
        case _:
            text = to_json(value, fallback=str, inf_nan_mode="strings").decode()
    return text if len(text) <= _VALUE_LENGTH else f"{text[:_VALUE_LENGTH]}[cut: {len(text)} characters]"
