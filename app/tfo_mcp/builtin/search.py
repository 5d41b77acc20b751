"""The tools that find files: list_directory, search_files, file_info.

Owns the tools' parameters and results. Limits, sort order and the search itself belong to the file store behind
`ctx.files`.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict  # pydantic requires this one on Python 3.11

from tfo_mcp.builtin.arguments import MostResults, Path
from tfo_mcp.builtin.listing_text import HEADING, entry_lines, fitting, match_lines, timestamp
from tfo_mcp.builtin.media import BEGINNING_BYTES, type_of
from tfo_mcp.builtin.output_schemas import members
from tfo_mcp.builtin.structured_content import is_repeated
from tfo_mcp.plugins import (
    Contents,
    Context,
    FileEntry,
    FileInfo,
    Filter,
    Listing,
    Match,
    Matches,
    Text,
    ToolError,
    ToolHints,
    ToolResult,
    tool,
)
from tfo_mcp.value_objects import value_object

_LOOKS = ToolHints(read_only=True, destructive=False, idempotent=True, open_world=False)
_MOST_LEVELS = 64
_MOST_SKIPPED = 100_000
_NOTE_BYTES = 300  # reserved for the heading, and for the note after a truncated text
_ENTRIES = members(entries="array?", count="integer", truncated="boolean", next_cursor="string?")
_FOUND = members(entries="array?", matches="array?", count="integer", truncated="boolean", next_offset="integer?")
_INFO = members(type="string", size="integer")
_Type = Literal["file", "directory", "symlink", "other"]


class Entry(TypedDict):
    """A file or directory. A dictionary for speed: a result can hold many thousands."""

    path: str
    type: _Type
    size: int | None
    modified: str | None
    uri: str | None


class Line(TypedDict):
    """A matching line, or the part of a long line that starts at `column`."""

    path: str
    line: int
    text: str
    before: list[str]
    after: list[str]
    uri: str | None
    column: int


@value_object
class Entries:
    """A page of files and directories, sorted by path. `entries` and `names` are null if only the text has them."""

    entries: list[Entry] | None
    names: list[str] | None
    count: int
    truncated: bool
    next_cursor: str | None = None


@value_object
class Found:
    """Search results, sorted by path: `matches` if `contents` was given, otherwise `entries`.

    They are null if only the text has them.
    """

    entries: list[Entry] | None
    matches: list[Line] | None
    count: int
    truncated: bool
    timed_out: bool = False
    next_offset: int | None = None


@value_object
class Info:
    """Metadata of a file or directory."""

    path: str
    uri: str
    type: _Type
    size: int
    modified: str | None
    mode: str
    is_link: bool
    read_only: bool
    mime_type: str | None
    sha256: str | None


@tool(title="List a directory", hints=_LOOKS, output_schema=_ENTRIES)
async def list_directory(
    ctx: Context,
    path: Path = ".",
    *,
    details: Annotated[bool, Field(description="List size and modification time as well.")] = True,
    recursive: Annotated[bool, Field(description="List all levels.")] = False,
    depth: Annotated[int | None, Field(ge=1, le=_MOST_LEVELS, description="Levels to list.")] = None,
    cursor: Annotated[str | None, Field(description="`next_cursor` of the previous page.")] = None,
    max_results: MostResults = None,
) -> ToolResult:
    """List a directory, a line per entry."""
    levels = depth or (None if recursive else 1)
    page: dict[str, Any] = {"depth": levels, "cursor": cursor, "progress": ctx.progress}
    room = ctx.max_result_bytes - _NOTE_BYTES
    if not details:
        named = await ctx.files.names(path, most=max_results, **page)
        if (fit := fitting(named.names, room)) < len(named.names):
            named = await ctx.files.names(path, most=fit, **page)
        text = "\n".join(named.names)
        names = list(named.names) if is_repeated(text) else None
        return _listed(text, Entries([], names, len(named.names), named.truncated, named.cursor))
    listing = await ctx.files.list(path, most=max_results, **page)
    lines = entry_lines(listing.entries)
    if (fit := fitting(lines, room)) < len(lines):
        listing = await ctx.files.list(path, most=fit, **page)
        lines = entry_lines(listing.entries)
    text = "\n".join([HEADING, *lines] if lines else ())
    entries = [_entry(entry) for entry in listing.entries] if is_repeated(text, objects=len(lines)) else None
    return _listed(text, Entries(entries, [], len(lines), listing.truncated, listing.cursor))


@tool(title="Search for files", hints=_LOOKS, output_schema=_FOUND)
async def search_files(
    ctx: Context,
    path: Path = ".",
    *,
    pattern: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=1000,
            description="Glob for names (`*.py`) or, with a slash, relative paths (`src/**/test_*.py`); a slash at the "
            "end matches directories.",
        ),
    ] = None,
    contents: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=10_000,
            description="Regular expression for lines.",
        ),
    ] = None,
    exclude: Annotated[list[str] | None, Field(description="Patterns in .gitignore syntax.")] = None,
    include_ignored: Annotated[bool, Field(description="Include what .gitignore excludes.")] = False,
    ignore_case: Annotated[bool, Field(description="For `contents`.")] = False,
    context: Annotated[int, Field(ge=0, le=20, description="Lines around each match.")] = 0,
    offset: Annotated[int, Field(ge=0, le=_MOST_SKIPPED, description="Results to skip.")] = 0,
    max_results: MostResults = None,
) -> ToolResult:
    """Find files and directories by name (`pattern`), or lines in files (`contents`, optionally with `pattern`)."""
    wanted = Filter(pattern, exclude or (), include_ignored)
    if contents is not None:
        lines = Contents(contents, ignore_case, context)
        found = await ctx.files.search(path, lines, wanted, most=max_results, skip=offset, progress=ctx.progress)
        part = _part(ctx, match_lines(found.matches), found, offset)
        hits = [_line(match) for match in found.matches[: part.count]] if part.is_repeated else None
        return part.result([], hits, found)
    if pattern is None:
        raise ToolError("Give a name pattern (`pattern`), a regular expression (`contents`), or both")
    listing = await ctx.files.find(path, wanted, most=max_results, skip=offset, progress=ctx.progress)
    part = _part(ctx, entry_lines(listing.entries), listing, offset)
    entries = [_entry(entry) for entry in listing.entries[: part.count]] if part.is_repeated else None
    return part.result(entries, [], listing)


@tool(title="Describe a file", hints=_LOOKS, output_schema=_INFO)
async def file_info(
    path: Path,
    ctx: Context,
    digest: Annotated[bool, Field(description="Compute the SHA-256.")] = False,
) -> ToolResult:
    """Get type, size, modification time, permissions and MIME type of a file or directory."""
    info = await ctx.files.info(path, digest=digest, progress=ctx.progress)
    outcome = Info(
        path=path,
        uri=info.uri,
        type=info.type,
        size=info.size,
        modified=timestamp(int(info.modified)),
        mode=info.mode,
        is_link=info.is_link,
        read_only=info.read_only,
        mime_type=await _mime_type(path, info, ctx),
        sha256=info.sha256,
    )
    return ToolResult(structured=outcome)


def _listed(text: str, page: Entries) -> ToolResult:
    if page.next_cursor is not None:
        text += f"\n[Truncated. Continue with cursor={page.next_cursor}.]"
    elif page.truncated:
        text += f"\n[Truncated: directories deeper than {_MOST_LEVELS} levels are not listed.]"
    return ToolResult((Text(text or "No entries."),), page)


@value_object
class _Part:
    """The results of a search that fit into one result, as text; `following` is the offset of the next one."""

    text: str
    count: int
    following: int | None
    is_repeated: bool

    def result(self, entries: list[Entry] | None, matches: list[Line] | None, whole: Listing | Matches) -> ToolResult:
        truncated = whole.truncated or self.following is not None
        found = Found(entries, matches, self.count, truncated, whole.timed_out, self.following)
        return ToolResult((Text(self.text),), found)


def _part(ctx: Context, lines: Sequence[str], whole: Listing | Matches, offset: int) -> _Part:
    count = fitting(lines, ctx.max_result_bytes - _NOTE_BYTES)
    following = offset + count if count < len(lines) or (whole.more and count) else None
    heading = [HEADING] if isinstance(whole, Listing) and lines else []
    text = "\n".join([*heading, *lines[:count]])
    note = ""
    if following is not None:
        note = f"[Truncated. Continue with offset={following}.]"
    elif whole.timed_out:
        note = "[The search timed out: there may be more results. Narrow the search.]"
    elif whole.truncated:
        note = "[Truncated: there may be more results. Narrow the search.]"
    shown = "\n".join(filter(None, (text, note))) or "No results."
    return _Part(shown, count, following, is_repeated(text, objects=count))


async def _mime_type(path: str, info: FileInfo, ctx: Context) -> str | None:
    if info.type != "file":
        return None
    try:
        return type_of(await ctx.files.beginning(path, BEGINNING_BYTES), path)
    except ToolError:  # a file without permission to read
        return None


def _entry(entry: FileEntry) -> Entry:
    path, kind, size, modified, uri = entry
    time = None if modified is None else timestamp(int(modified))
    return {"path": path, "type": kind, "size": size, "modified": time, "uri": uri}


def _line(match: Match) -> Line:
    return {
        "path": match.path,
        "line": match.line,
        "text": match.text,
        "before": list(match.before),
        "after": list(match.after),
        "uri": match.uri,
        "column": match.column,
    }
