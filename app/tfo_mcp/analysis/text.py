"""Text of answers: CSV tables, and text of logs and attributes made safe to show.

Strangers write what telemetry contains. Control characters are escaped, long values are cut visibly, and blocks of such
text are fenced, so that a model can tell data from the server's own words.
"""

import re
from collections.abc import Iterable, Sequence

from tfo_mcp.domain.text import escaped

_FENCE = "telemetry-data"
_FORGED = re.compile(_FENCE, re.IGNORECASE)
CELL_LIMIT = 120
"""Maximum characters of a value in a table or on a line of a tree."""


def safe(text: str, limit: int = CELL_LIMIT) -> str:
    """Return foreign text on one line: escaped, and cut to `limit` characters with the number of the others."""
    if len(text) <= limit and text.isprintable():
        return text
    shown = escaped(text[:limit].replace("\n", "⏎").encode(errors="backslashreplace").decode())
    return shown if len(text) <= limit else f"{shown}…(+{len(text) - limit} characters)"


def csv_line(cells: Iterable[object], limit: int = CELL_LIMIT) -> str:
    """Return one line of a CSV table (RFC 4180); None is empty, texts are cut to `limit` characters."""
    return ",".join(_cell(cell, limit) for cell in cells)


def fenced(lines: Sequence[str]) -> list[str]:
    """Return lines of foreign text between markers that the text cannot contain."""
    return [f"<{_FENCE}>", *(_FORGED.sub("telemetry_data", line) for line in lines), f"</{_FENCE}>"]


def number(value: float | None) -> str:
    """Return a number in at most four significant digits; integers below a million are whole."""
    if value is None:
        return ""
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.4g}"


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, such as `1 span` or `2 spans`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def share(part: float, whole: float) -> str:
    """Return a share in percent in at most two digits, such as `4.2 %`."""
    if not whole:
        return "0 %"
    percent = 100 * part / whole
    return f"{percent:.0f} %" if percent >= 10 or percent == int(percent) else f"{percent:.2g} %"


def _cell(cell: object, limit: int) -> str:
    if cell is None:
        return ""
    text = safe(cell, limit) if isinstance(cell, str) else number(cell) if isinstance(cell, float) else str(cell)
    return f'"{text.replace(chr(34), chr(34) * 2)}"' if any(mark in text for mark in ',"') else text
