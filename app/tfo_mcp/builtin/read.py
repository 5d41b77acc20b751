"""The tool read_file, which returns lines of text, images, audio, and other files as embedded binary resources.

Owns the content type for each kind of file, and the hint how to continue after a truncated result. Access checks and
the read limit belong to the file store behind `ctx.files`.
"""

from typing import Annotated

from pydantic import Field

from tfo_mcp.builtin.arguments import Encoding, Path, text_codec
from tfo_mcp.builtin.media import UNKNOWN_TYPE, binary_type, seems_text
from tfo_mcp.plugins import (
    IMAGE_BLOCK_TYPES,
    Audio,
    BlobContents,
    Context,
    EmbeddedResource,
    Image,
    Lines,
    NotText,
    Text,
    TextPart,
    ToolError,
    ToolHints,
    tool,
)

_NOTE_BYTES = 150  # reserved for the hint after a truncated text


@tool(
    title="Read a file",
    hints=ToolHints(read_only=True, destructive=False, idempotent=True, open_world=False),
)
async def read_file(
    path: Path,
    ctx: Context,
    *,
    offset: Annotated[int | None, Field(ge=1, description="First line, counted from 1.")] = None,
    limit: Annotated[int | None, Field(ge=1, description="Number of lines from `offset`.")] = None,
    column: Annotated[
        int | None,
        Field(ge=1, description="First character of line `offset`, counted from 1."),
    ] = None,
    head: Annotated[
        int | None,
        Field(ge=1, description="Number of lines from the beginning."),
    ] = None,
    tail: Annotated[
        int | None,
        Field(ge=1, description="Number of lines from the end."),
    ] = None,
    encoding: Encoding = "utf-8",
) -> list[Text | Image | Audio | EmbeddedResource]:
    """Read a file: text, an image, audio or binary data. Give at most one of `offset`, `head` and `tail`."""
    lines = _lines(offset, limit, column, head, tail)
    try:
        room = ctx.max_result_bytes - _NOTE_BYTES
        wanted = lines or Lines()
        part = await ctx.files.read_text(path, text_codec(encoding), wanted, ctx.progress, most_bytes=room)
    except NotText as problem:
        if lines is not None or encoding != "utf-8":
            raise ToolError(problem.message) from None
        return [await _binary(path, ctx, problem)]
    if part.count == 0 and lines is not None and (lines.first > 1 or lines.column > 1 or part.more):
        raise ToolError(f"{path}: the file has fewer than {lines.first} lines")
    return [Text(part.text), Text(_how_to_go_on(part, lines or Lines()))] if part.cut else [Text(part.text)]


def _lines(
    offset: int | None, limit: int | None, column: int | None, head: int | None, tail: int | None
) -> Lines | None:
    """Return the requested lines, None for the whole file.

    Raises:
        ToolError: the arguments select lines in more than one way.
    """
    ways = [any(one is not None for one in (offset, limit, column)), head is not None, tail is not None]
    if sum(ways) > 1:
        raise ToolError("Give one of: offset (with limit and column), head, or tail")
    if tail is not None:
        return Lines(last=tail)
    if head is not None:
        return Lines(count=head)
    return Lines(offset or 1, limit, column=column or 1) if ways[0] else None


async def _binary(path: str, ctx: Context, problem: NotText) -> Image | Audio | EmbeddedResource:
    """Return the contents of a file that is no UTF-8 text.

    Raises:
        ToolError: it is text in another encoding, which Base64 would make useless for a model.
    """
    data = await ctx.files.read(path, ctx.progress)
    mime_type = binary_type(data, path)
    if mime_type == UNKNOWN_TYPE and seems_text(data):
        raise ToolError(f"{problem.message}, for example encoding=latin-1")
    if mime_type in IMAGE_BLOCK_TYPES:
        return Image(data, mime_type)
    if mime_type.startswith("audio/"):
        return Audio(data, mime_type)
    return EmbeddedResource(BlobContents(await ctx.files.uri(path), data, mime_type))


def _how_to_go_on(part: TextPart, lines: Lines) -> str:
    """Return the arguments that read the rest of the requested lines; after a tail, those that read everything."""
    if part.first is None:
        return "[Truncated: earlier text is omitted. To read the whole file, start with offset=1.]"
    is_line_end = part.text.endswith("\n")
    last = part.first + part.count - 1
    start = last + 1 if is_line_end else last
    arguments = [f"offset={start}"]
    if not is_line_end:
        before = part.column - 1 if part.count == 1 else 0
        arguments.append(f"column={before + len(part.text) - part.text.rfind(chr(10))}")
    if lines.count is not None:
        arguments.append(f"limit={lines.first + lines.count - start}")
    place = f"after line {last}" if is_line_end else f"in line {last}"
    return f"[Truncated {place}. Continue with {' and '.join(arguments)}.]"
