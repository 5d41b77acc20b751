"""Questions of the telemetry tools: arguments resolved to a window and a predicate, on the store of the caller."""

import time

from tfo_mcp.analysis.filters import parse_filter
from tfo_mcp.analysis.text import safe
from tfo_mcp.analysis.times import FirstOf, parse_time, resolved_window, show_time, show_window
from tfo_mcp.builtin.telemetry.answer import clamped
from tfo_mcp.plugins import Context, ToolError
from tfo_mcp.plugins.telemetry import (
    AllOf,
    Comparison,
    FieldName,
    Predicate,
    Selection,
    TelemetryStore,
    Window,
)
from tfo_mcp.value_objects import value_object

_SERVICE = FieldName("service.name")
_VERSION = FieldName("service.version", "resource")
_MOST_VERSIONS, _VERSION_LIMIT = 10, 40


@value_object
class Question:
    """A window and a predicate on the records that the caller may read; `budget` is in tokens."""

    store: TelemetryStore
    window: Window
    where: Predicate | None
    budget: int

    @property
    def selection(self) -> Selection:
        """The selected records."""
        return Selection(self.window, self.where)

    @property
    def range(self) -> str:
        """The window in UTC, for the first line of an answer."""
        return show_window(self.window)


async def resolve(
    ctx: Context,
    start: str,
    end: str,
    budget: int,
    *,
    where: str = "",
    service: str = "",
    also: Predicate | None = None,
) -> Question:
    """Return the question that arguments mean; `where`, `service` and `also` must all hold.

    Raises:
        ToolError: an argument is not in its language, or a version has no records.
    """
    store, now = ctx.telemetry, time.time_ns()
    window = resolved_window(await _moment(store, start, now), await _moment(store, end, now))
    parts = [parse_filter(where)] if where.strip() else []
    parts += [Comparison(_SERVICE, "=", service)] if service else []
    parts += [also] if also is not None else []
    return Question(store, window, both(*parts), clamped(ctx, budget))


def both(*parts: Predicate | None) -> Predicate | None:
    """Return the predicate that all parts hold, None without any part."""
    given = tuple(part for part in parts if part is not None)
    return given[0] if len(given) == 1 else AllOf(given) if given else None


async def _moment(store: TelemetryStore, text: str, now: int) -> int:
    moment = parse_time(text, now)
    if not isinstance(moment, FirstOf):
        return moment
    selection = Selection(Window(0, now + 1), Comparison(_VERSION, "=", moment.version))
    spans = await store.spans(selection, order="earliest", limit=1)
    logs = await store.logs(selection, order="earliest", limit=1)
    times = [*(span.start for span in spans), *(log.time for log in logs)]
    if not times:
        known = sorted({each for service in await store.services(Window(0, now + 1)) for each in service.versions})
        shown = ", ".join(safe(version, _VERSION_LIMIT) for version in known[:_MOST_VERSIONS]) or "none"
        raise ToolError(
            f"No record has service.version {safe(moment.version, _VERSION_LIMIT)}; known versions: {shown}"
        )
    return min(times)


def encode_page(window: Window, offset: int) -> str:
    """Return the cursor of the page that begins at `offset`; it keeps the window, since `now` moves."""
    return f"{window.start}-{window.end}-{offset}"


def decode_page(question: Question, cursor: str) -> tuple[Question, int]:
    """Return the question with the window of a cursor, and the offset of its page; without a cursor, the first page.

    Raises:
        ToolError: the cursor is not one of these tools.
    """
    if not cursor:
        return question, 0
    parts = cursor.split("-")
    if len(parts) != 3 or not all(part.isdecimal() and len(part) < 20 for part in parts):
        raise ToolError("Invalid cursor: use the cursor of the previous answer, or none")
    start, end, offset = map(int, parts)
    return Question(question.store, resolved_window(start, end), question.where, question.budget), offset


def ago(moment: int, now: int) -> str:
    """Return how long ago a moment was, or the moment if it is more than a day or in the future."""
    seconds = (now - moment) // 1_000_000_000
    if not 0 <= seconds < 86_400:
        return show_time(moment)
    if seconds < 120:
        return f"{seconds} s ago"
    return f"{seconds // 60} min ago" if seconds < 7200 else f"{seconds // 3600} h ago"
