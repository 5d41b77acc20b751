"""The tools that find files: list_directory, search_files, file_info.

Owns the tools' parameters and results. Limits, sort order and the search itself belong to the file store behind
`ctx.files`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict  # pydantic requires this one on Python 3.11

from tfo_mcp.builtin.arguments import Directory, MostResults, Path
from tfo_mcp.builtin.media import text_type
from tfo_mcp.plugins import Contents, Context, FileEntry, Filter, Match, Text, ToolError, ToolHints, ToolResult, tool

_LOOKS = ToolHints(read_only=True, destructive=False, idempotent=True, open_world=False)
_MOST_LEVELS = 64
_Type = Annotated[Literal["file", "directory", "symlink", "other"], Field(description="Type of the entry.")]
_Modified = Annotated[str | None, Field(description="Last modification time (ISO 8601, UTC); null if unknown.")]
_Uri = Annotated[
    str | None,
    Field(
        description="The file: URI, set only if the name contains characters that cannot be displayed. Use it instead "
        "of the path."
    ),
]


class Entry(TypedDict):
    """A file or directory. A dictionary for speed: a result can hold many thousands."""

    path: Annotated[str, Field(description="Path relative to the listed or searched directory.")]
    type: _Type
    size: Annotated[int | None, Field(description="Size in bytes; null for entries that are not files.")]
    modified: _Modified
    uri: _Uri


@dataclass(frozen=True, slots=True)
class Entries:
    """A page of files and directories, sorted by path."""

    entries: Annotated[list[Entry], Field(description="The entries; empty if `details` is false.")]
    names: Annotated[
        list[str],
        Field(description="Paths only, if `details` is false. Paths of directories end with a slash."),
    ]
    truncated: Annotated[bool, Field(description="Whether the directory has more entries than this result.")]
    next_cursor: Annotated[
        str | None, Field(description="Pass this as `cursor` to get the next page; null on the last page.")
    ] = None


@dataclass(frozen=True, slots=True)
class Line:
    """A matching line."""

    path: Annotated[str, Field(description="Path relative to the searched directory.")]
    line: Annotated[int, Field(description="Line number, starting at 1.")]
    text: Annotated[
        str,
        Field(
            description="Text of the line. If it is longer than 500 characters, only the part around the first match, "
            "with … at truncated ends."
        ),
    ]
    before: Annotated[list[str], Field(description="Context lines before the match.")]
    after: Annotated[list[str], Field(description="Context lines after the match.")]
    uri: _Uri = None
    column: Annotated[
        int,
        Field(description="Column in the line where `text` starts, counted from 1. A leading … is not counted."),
    ] = 1


@dataclass(frozen=True, slots=True)
class Found:
    """Search results, sorted by path: `matches` if `contents` was given, otherwise `entries`."""

    entries: list[Entry]
    matches: list[Line]
    truncated: Annotated[
        bool,
        Field(description="Whether there are or may be more results. Narrow the search to see them."),
    ]
    timed_out: Annotated[bool, Field(description="Whether the search stopped early because it timed out.")] = False


@dataclass(frozen=True, slots=True)
class Info:
    """Metadata of a file or directory."""

    path: Annotated[str, Field(description="The path as given in the call.")]
    uri: Annotated[str, Field(description="Absolute file: URI.")]
    type: _Type
    size: Annotated[int, Field(description="Size in bytes.")]
    modified: _Modified
    mode: Annotated[str, Field(description="Permission bits in octal, such as 0644.")]
    is_link: Annotated[
        bool, Field(description="Whether the path is a symbolic link. The other fields describe its target.")
    ]
    read_only: Annotated[bool, Field(description="Whether the file is in a root directory that is read-only.")]
    mime_type: Annotated[str | None, Field(description="MIME type, guessed from the name; null if it is not a file.")]
    sha256: Annotated[str | None, Field(description="SHA-256 of the contents in hexadecimal, if `digest` is true.")]


@tool(title="List a directory", hints=_LOOKS, output_schema=Entries)
async def list_directory(
    ctx: Context,
    path: Directory = ".",
    *,
    details: Annotated[
        bool, Field(description="Whether to return type, size and modification time of each entry, or names only.")
    ] = True,
    recursive: Annotated[bool, Field(description="Whether to list subdirectories recursively.")] = False,
    depth: Annotated[
        int | None,
        Field(
            ge=1,
            le=_MOST_LEVELS,
            description="Maximum number of directory levels to list; 1 is the directory itself. Takes precedence over "
            "`recursive`.",
        ),
    ] = None,
    cursor: Annotated[
        str | None, Field(min_length=1, description="Pagination cursor: `next_cursor` of the previous page.")
    ] = None,
    max_results: MostResults = None,
) -> ToolResult:
    """List the files and subdirectories of a directory. Symbolic links are listed but not followed."""
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
            description="Glob pattern. Without a slash (`*.py`) it matches file names at any depth. With a slash "
            "(`src/**/test_*.py`) it matches the path relative to the searched directory. `**` matches any number of "
            "directories, `{a,b}` matches either alternative. Case-sensitive.",
        ),
    ] = None,
    contents: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=10_000,
            description="Regular expression to search for in text files, line by line. Lookaround and backreferences "
            "are not supported. With `pattern`, only matching files are searched.",
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None, Field(description="Patterns to exclude, in .gitignore syntax, such as `node_modules/`.")
    ] = None,
    include_ignored: Annotated[
        bool, Field(description="Whether to include .git directories and files that .gitignore files exclude.")
    ] = False,
    ignore_case: Annotated[
        bool, Field(description="Whether the regular expression in `contents` is case-insensitive.")
    ] = False,
    context: Annotated[int, Field(ge=0, le=20, description="Number of lines to show before and after each match.")] = 0,
    max_results: MostResults = None,
) -> Found:
    """Search for files and directories by name (glob), or search file contents with a regular expression.

    Skips files that .gitignore files exclude, unless `include_ignored` is true. Symbolic links are not followed.
    """
    wanted = Filter(pattern, exclude or (), include_ignored)
    if contents is not None:
        lines = Contents(contents, ignore_case, context)
        found = await ctx.files.search(path, lines, wanted, most=max_results, progress=ctx.progress)
        return Found([], [_line(match) for match in found.matches], found.truncated, found.timed_out)
    if pattern is None:
        raise ToolError("Give a name pattern (`pattern`), a regular expression (`contents`), or both")
    listing = await ctx.files.find(path, wanted, most=max_results, progress=ctx.progress)
    return Found([_entry(entry) for entry in listing.entries], [], listing.truncated, listing.timed_out)


@tool(title="Describe a file", hints=_LOOKS)
async def file_info(
    path: Path,
    ctx: Context,
    digest: Annotated[bool, Field(description="Whether to compute the SHA-256 of the contents (files only).")] = False,
) -> Info:
    """Get the type, size, modification time and permissions of a file or directory."""
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
    """Return a timestamp as ISO 8601, None if it is out of range. Cached: files of one tree often share timestamps."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return None
