"""The file tools: read_file, write_file, list_directory, search_files.

Own what the tools take and give; where files may lie and how large they may be is decided by the store behind
`ctx.files`.
"""

import codecs
import posixpath
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from pydantic import Field

from app.plugins import Context, ToolError, ToolHints, tool

_NO_FILE_CODECS = frozenset({"idna", "punycode", "raw-unicode-escape", "unicode-escape", "utf-7"})  # slow, or unsafe
_LOOKS = ToolHints(read_only=True, destructive=False, idempotent=True, open_world=False)

Path = Annotated[str, Field(min_length=1, description="Path of the file: relative to the first root, or absolute.")]
Directory = Annotated[
    str, Field(min_length=1, description="Path of the directory: relative to the first root (`.`), or absolute.")
]
Encoding = Annotated[str, Field(min_length=1, max_length=40, description="Text encoding, such as utf-8 or latin-1.")]


@dataclass(frozen=True, slots=True)
class Written:
    """What write_file did."""

    path: Annotated[str, Field(description="The path as it was given.")]
    bytes_written: Annotated[int, Field(description="Size of the file, in bytes.")]


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or a directory."""

    path: Annotated[str, Field(description="Path relative to the directory that was asked for.")]
    is_directory: bool
    size: Annotated[int, Field(description="Size in bytes; 0 for a directory.")]


@dataclass(frozen=True, slots=True)
class Entries:
    """Files and directories, sorted by path."""

    entries: list[Entry]
    truncated: Annotated[bool, Field(description="Whether there is more than what is listed here.")]


@tool(title="Read a file", hints=_LOOKS)
async def read_file(path: Path, ctx: Context, encoding: Encoding = "utf-8") -> str:
    """Read a text file and answer with its text."""
    codec = _text_codec(encoding)
    data = await ctx.files.read(path)
    try:
        return data.decode(codec)
    except UnicodeDecodeError:
        what = "a binary file" if b"\0" in data else f"not {encoding} text"
        raise ToolError(f"{path}: this is {what}; if it is text in another encoding, name it, e.g. latin-1") from None


@tool(
    title="Write a file",
    hints=ToolHints(read_only=False, destructive=True, idempotent=True, open_world=False),
)
async def write_file(
    path: Path,
    content: Annotated[str, Field(description="The whole new content; it is written as UTF-8.")],
    ctx: Context,
    create_dirs: Annotated[bool, Field(description="Whether to create the directories on the way.")] = False,
) -> Written:
    """Write a text file: create it, or replace what it holds."""
    try:
        data = content.encode()
    except UnicodeEncodeError:
        raise ToolError("The content holds half of a surrogate pair, which no text file can hold") from None
    written = await ctx.files.write(path, data, create_dirs)
    await ctx.resource_updated(await ctx.files.uri(path))
    if not path.startswith("/"):
        await ctx.resource_updated(
            f"file:///{quote(posixpath.normpath(path))}"
        )  # the resource's other name, relative to the first root
    return Written(path, written)


@tool(title="List a directory", hints=_LOOKS)
async def list_directory(
    ctx: Context,
    path: Directory = ".",
    recursive: Annotated[bool, Field(description="Whether to list what its directories hold, too.")] = False,
) -> Entries:
    """List the files and directories in a directory. Symbolic links are listed, not followed."""
    listing = await ctx.files.list(path, recursive)
    return Entries([Entry(e.path, e.is_directory, e.size) for e in listing.entries], listing.truncated)


@tool(title="Search for files", hints=_LOOKS)
async def search_files(
    path: Directory,
    pattern: Annotated[
        str,
        Field(
            min_length=1,
            max_length=1000,
            description="Glob: `*.py` matches names at any depth; with a slash, as in `src/**/test_*.py`, the path "
            "relative to the directory. `**` stands for any number of directories. Case matters.",
        ),
    ],
    ctx: Context,
) -> Entries:
    """Find files and directories beneath a directory by name. Symbolic links are not followed."""
    listing = await ctx.files.search(path, pattern)
    return Entries([Entry(e.path, e.is_directory, e.size) for e in listing.entries], listing.truncated)


def _text_codec(encoding: str) -> str:
    """Return the codec's own name.

    Raises:
        ToolError: there is none of that name that turns bytes into text.
    """
    try:
        codec = codecs.lookup(encoding)
        bytes(4).decode(codec.name, "replace")  # refuses codecs between other things than bytes and text
        if codec.name in _NO_FILE_CODECS:
            raise LookupError
    except (LookupError, ValueError):
        raise ToolError(f"{encoding}: no such text encoding; try utf-8, utf-16 or latin-1") from None
    return codec.name
