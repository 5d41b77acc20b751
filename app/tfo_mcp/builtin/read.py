"""The tool read_file, which returns lines of text, images, audio, and other files as embedded binary resources.

Owns the content type for each kind of file, and the hint how to continue after a truncated result. Access checks and
the read limit belong to the file store behind `ctx.files`.
"""

from typing import Annotated

from pydantic import Field

from tfo_mcp.builtin.arguments import Encoding, Path, text_codec
from tfo_mcp.builtin.media import binary_type, text_type
from tfo_mcp.plugins import (
    Audio,
    BlobContents,
    Context,
    EmbeddedResource,
    Image,
    Lines,
    NotText,
    ResourceLink,
    Text,
    TextPart,
    ToolError,
    ToolHints,
    tool,
)


@tool(
    title="Read a file",
    hints=ToolHints(read_only=True, destructive=False, idempotent=True, open_world=False),
)
async def read_file(
    path: Path,
    ctx: Context,
    *,
    offset: Annotated[
        int | None, Field(ge=1, description="Line number to start reading from, starting at 1. Default: 1.")
    ] = None,
    limit: Annotated[
        int | None, Field(ge=1, description="Maximum number of lines to read from `offset`. Default: no limit.")
    ] = None,
    head: Annotated[
        int | None,
        Field(ge=1, description="Number of lines to read from the beginning. Not with `offset`, `limit` or `tail`."),
    ] = None,
    tail: Annotated[
        int | None,
        Field(ge=1, description="Number of lines to read from the end. Not with `offset`, `limit` or `head`."),
    ] = None,
    encoding: Encoding = "utf-8",
) -> list[Text | Image | Audio | EmbeddedResource | ResourceLink]:
    """Read a file. Returns text (the whole file or a range of lines), an image, audio, or other binary data.

    Long text is truncated at files.max_read_bytes (1 MiB unless configured otherwise). The result then says which
    `offset` to continue with.
    """
    lines = _lines(offset, limit, head, tail)
    try:
        part = await ctx.files.read_text(path, text_codec(encoding), lines or Lines(), ctx.progress)
    except NotText as problem:
        if lines is not None or encoding != "utf-8":
            raise ToolError(problem.message) from None
        return [await _binary(path, ctx)]
    if part.count == 0 and lines is not None and (lines.first > 1 or part.more):
        raise ToolError(f"{path}: the file has fewer than {lines.first} lines")
    blocks: list[Text | Image | Audio | EmbeddedResource | ResourceLink] = [Text(part.text)]
    if part.cut:
        blocks += [Text(_how_to_go_on(part)), await _link(path, ctx)]
    return blocks


def _lines(offset: int | None, limit: int | None, head: int | None, tail: int | None) -> Lines | None:
    """Return the requested lines, None for the whole file.

    Raises:
        ToolError: the arguments select lines in more than one way.
    """
    ways = [offset is not None or limit is not None, head is not None, tail is not None]
    if sum(ways) > 1:
        raise ToolError("Give one of: offset and limit, head, or tail")
    if tail is not None:
        return Lines(last=tail)
    if head is not None:
        return Lines(count=head)
    return Lines(offset or 1, limit) if ways[0] else None


async def _binary(path: str, ctx: Context) -> Image | Audio | EmbeddedResource:
    data = await ctx.files.read(path, ctx.progress)
    mime_type = binary_type(path)
    if mime_type.startswith("image/"):
        return Image(data, mime_type)
    if mime_type.startswith("audio/"):
        return Audio(data, mime_type)
    return EmbeddedResource(BlobContents(await ctx.files.uri(path), data, mime_type))


def _how_to_go_on(part: TextPart) -> str:
    if part.first is None:
        return "[Truncated: earlier lines are omitted. Request fewer lines with tail, or use offset and limit.]"
    following = part.first + part.count
    if not part.text.endswith("\n"):
        return f"[Truncated: line {following - 1} exceeds the read limit. Skip it with offset={following}.]"
    return f"[Truncated after line {following - 1}. Continue with offset={following}.]"


async def _link(path: str, ctx: Context) -> ResourceLink:
    info = await ctx.files.info(path, digest=False)
    name = path.rstrip("/").rpartition("/")[2]
    return ResourceLink(info.uri, name, description="The complete file", mime_type=text_type(path), size=info.size)
