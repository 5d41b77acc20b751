"""The tool read_file: text by lines, pictures and sounds as such, everything else as bytes.

Owns what comes back for which file, and how a caller goes on where an answer was cut; where files may lie and how much
is read at once is decided by the store behind `ctx.files`.
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
    offset: Annotated[int | None, Field(ge=1, description="Number of the first line to read; 1 is the first.")] = None,
    limit: Annotated[int | None, Field(ge=1, description="Most lines to read, from `offset` on.")] = None,
    head: Annotated[int | None, Field(ge=1, description="Read so many lines from the beginning only.")] = None,
    tail: Annotated[int | None, Field(ge=1, description="Read so many lines from the end only.")] = None,
    encoding: Encoding = "utf-8",
) -> list[Text | Image | Audio | EmbeddedResource | ResourceLink]:
    """Read a file: text (all of it, or lines), pictures and sounds as such, anything else as bytes.

    A long text is cut, and the answer says with which `offset` to go on.
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
    """Return which lines are asked for, None for the whole file.

    Raises:
        ToolError: two ways of saying it at once.
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
        return "[The lines before these are left out: ask for fewer from the end, or use offset and limit.]"
    following = part.first + part.count
    if not part.text.endswith("\n"):
        return (
            f"[Line {following - 1} is longer than what is read at once; go on with the next one: offset={following}.]"
        )
    return f"[Cut after line {following - 1}; go on with offset={following}.]"


async def _link(path: str, ctx: Context) -> ResourceLink:
    info = await ctx.files.info(path, digest=False)
    name = path.rstrip("/").rpartition("/")[2]
    return ResourceLink(info.uri, name, description="The whole file", mime_type=text_type(path), size=info.size)
