"""The tools that find files: list_directory, search_files, file_info.

Own what the tools take and give; limits, order and the search itself are the affair of the store behind `ctx.files`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict  # pydantic asks for it on Python 3.11

from tfo_mcp.builtin.arguments import Directory, MostResults, Path
from tfo_mcp.builtin.media import text_type
from tfo_mcp.plugins import Contents, Context, FileEntry, Filter, Match, Text, ToolError, ToolHints, ToolResult, tool

_LOOKS = ToolHints(read_only=True, destructive=False, idempotent=True, open_world=False)
_MOST_LEVELS = 64
_Type = Annotated[Literal["file", "directory", "symlink", "other"], Field(description="What it is.")]
_Modified = Annotated[str | None, Field(description="When it was changed last (ISO 8601, UTC).")]
_Uri = Annotated[
    str | None,
    Field(description="Its file: URI, where the name holds what cannot be shown: use this instead of the path."),
]


class Entry(TypedDict):
    """A file or a directory. A dictionary, since many thousands may be made at once."""

    path: Annotated[str, Field(description="Path relative to the directory that was asked for.")]
    type: _Type
    size: Annotated[int | None, Field(description="Size in bytes, of files.")]
    modified: _Modified
    uri: _Uri


@dataclass(frozen=True, slots=True)
class Entries:
    """A page of files and directories, sorted by path."""

    entries: Annotated[list[Entry], Field(description="What there is, with details.")]
    names: Annotated[list[str], Field(description="Without details: the paths only; a directory's ends with a slash.")]
    truncated: Annotated[bool, Field(description="Whether there is more than what is listed here.")]
    next_cursor: Annotated[str | None, Field(description="Give this as `cursor` for the next page.")] = None


@dataclass(frozen=True, slots=True)
class Line:
    """A line that matches."""

    path: Annotated[str, Field(description="Path relative to the directory that was searched.")]
    line: Annotated[int, Field(description="Number of the line, from 1.")]
    text: Annotated[
        str,
        Field(description="The line; of one over 500 characters the part around the first match, cut ends shown as …"),
    ]
    before: Annotated[list[str], Field(description="Lines before it.")]
    after: Annotated[list[str], Field(description="Lines after it.")]
    uri: _Uri = None
    column: Annotated[int, Field(description="Column, from 1, of the first character of `text` after any ….")] = 1


@dataclass(frozen=True, slots=True)
class Found:
    """What search_files found: entries by name, or lines by contents; sorted by path."""

    entries: list[Entry]
    matches: list[Line]
    truncated: Annotated[bool, Field(description="Whether there is, or may be, more: search a smaller directory.")]
    timed_out: Annotated[bool, Field(description="Whether the search took too long and was ended.")] = False


@dataclass(frozen=True, slots=True)
class Info:
    """What is known of a file or directory."""

    path: Annotated[str, Field(description="The path as it was given.")]
    uri: Annotated[str, Field(description="Its file: URI.")]
    type: _Type
    size: Annotated[int, Field(description="Size in bytes.")]
    modified: _Modified
    mode: Annotated[str, Field(description="Its permissions, as for chmod.")]
    is_link: Annotated[bool, Field(description="Whether the path is a symbolic link to it.")]
    read_only: Annotated[bool, Field(description="Whether this server may change nothing there.")]
    mime_type: Annotated[str | None, Field(description="Its type, by its name.")]
    sha256: Annotated[str | None, Field(description="SHA-256 of its contents, if it was asked for.")]


@tool(title="List a directory", hints=_LOOKS, output_schema=Entries)
async def list_directory(
    ctx: Context,
    path: Directory = ".",
    *,
    details: Annotated[bool, Field(description="Whether to tell types, sizes and times, or names only.")] = True,
    recursive: Annotated[bool, Field(description="Whether to list what its directories hold, too.")] = False,
    depth: Annotated[
        int | None, Field(ge=1, le=_MOST_LEVELS, description="How many levels to list; more than 1 means recursive.")
    ] = None,
    cursor: Annotated[str | None, Field(min_length=1, description="`next_cursor` of the page before.")] = None,
    max_results: MostResults = None,
) -> ToolResult:
    """List the files and directories in a directory. Symbolic links are listed, not followed."""
    levels = depth or (None if recursive else 1)
    page: dict[str, Any] = {"depth": levels, "cursor": cursor, "most": max_results, "progress": ctx.progress}
    if not details:
        named = await ctx.files.names(path, **page)
        outcome = Entries([], list(named.names), named.truncated, named.cursor)
        return ToolResult((Text("\n".join(named.names)),), outcome)
    listing = await ctx.files.list(path, **page)
    entries = [_entry(entry) for entry in listing.entries]
    return ToolResult(structured=Entries(entries, [], listing.truncated, listing.cursor))


@tool(title="Search for files", hints=_LOOKS)
async def search_files(
    ctx: Context,
    path: Directory = ".",
    *,
    pattern: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=1000,
            description="Glob: `*.py` matches names at any depth; with a slash, as in `src/**/test_*.py`, the path "
            "relative to the directory. `**` stands for any number of directories, `{a,b}` for either. Case matters.",
        ),
    ] = None,
    contents: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=10_000,
            description="Regular expression to look for in text files, line by line; without look-around and "
            "back-references. With `pattern`, only in files of such names.",
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None, Field(description="What to leave out, each a line as in a .gitignore: `node_modules/`.")
    ] = None,
    include_ignored: Annotated[
        bool, Field(description="Whether to look at what .gitignore files exclude, too, and into .git.")
    ] = False,
    ignore_case: Annotated[bool, Field(description="Whether case does not matter, in `contents`.")] = False,
    context: Annotated[int, Field(ge=0, le=20, description="Lines to show around each match.")] = 0,
    max_results: MostResults = None,
) -> Found:
    """Find files and directories by name, or lines of text files by a regular expression.

    What .gitignore files exclude is left out; symbolic links are not followed.
    """
    wanted = Filter(pattern, exclude or (), include_ignored)
    if contents is not None:
        lines = Contents(contents, ignore_case, context)
        found = await ctx.files.search(path, lines, wanted, most=max_results, progress=ctx.progress)
        return Found([], [_line(match) for match in found.matches], found.truncated, found.timed_out)
    if pattern is None:
        raise ToolError("Give a pattern for names, an expression for contents, or both")
    listing = await ctx.files.find(path, wanted, most=max_results, progress=ctx.progress)
    return Found([_entry(entry) for entry in listing.entries], [], listing.truncated, listing.timed_out)


@tool(title="Describe a file", hints=_LOOKS)
async def file_info(
    path: Path,
    ctx: Context,
    digest: Annotated[bool, Field(description="Whether to tell the SHA-256 of the contents.")] = False,
) -> Info:
    """Tell the type, size, time and permissions of a file or directory."""
    info = await ctx.files.info(path, digest=digest, progress=ctx.progress)
    return Info(
        path=path,
        uri=info.uri,
        type=info.type,
        size=info.size,
        modified=_time(int(info.modified)),
        mode=info.mode,
        is_link=info.is_link,
        read_only=info.read_only,
        mime_type=text_type(path) if info.type == "file" else None,
        sha256=info.sha256,
    )


def _entry(entry: FileEntry) -> Entry:
    path, kind, size, modified, uri = entry
    time = None if modified is None else _time(int(modified))
    return {"path": path, "type": kind, "size": size, "modified": time, "uri": uri}


def _line(match: Match) -> Line:
    return Line(match.path, match.line, match.text, list(match.before), list(match.after), match.uri, match.column)


@lru_cache(maxsize=4096)
def _time(seconds: int) -> str | None:
    """Return a time as ISO 8601; None for one that no calendar has. Many files of one tree share theirs."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return None
