"""The tools that change files: write_file, edit_file, move_file, delete_file.

Own what the tools take and give; that a change is whole or not at all, and where it may be made, is the affair of the
store behind `ctx.files`.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from tfo_mcp.builtin.arguments import CreateDirs, Digest, Encoding, Path, text_codec
from tfo_mcp.plugins import Context, Edit, Text, ToolError, ToolHints, ToolResult, Write, tool

_CHANGES = ToolHints(read_only=False, destructive=True, idempotent=False, open_world=False)


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """What write_file did."""

    path: Annotated[str, Field(description="The path as it was given.")]
    bytes_written: Annotated[int, Field(description="Bytes of the content that was given.")]
    size: Annotated[int, Field(description="Size of the file now, in bytes.")]


@dataclass(frozen=True, slots=True)
class Replacement:
    """One exact replacement of text."""

    old_text: Annotated[str, Field(min_length=1, description="What is there now, to the letter, white space included.")]
    new_text: Annotated[str, Field(description="What is to be there; empty to take the old text away.")]
    replace_all: Annotated[
        bool, Field(description="Whether to replace it wherever it stands; otherwise it must stand there once.")
    ] = False


@dataclass(frozen=True, slots=True)
class EditedFile:
    """What edit_file did."""

    path: Annotated[str, Field(description="The path as it was given.")]
    diff: Annotated[str, Field(description="The change as a unified diff; empty when there is none.")]
    replacements: Annotated[int, Field(description="How many places changed.")]
    written: Annotated[bool, Field(description="Whether the file was changed.")]


@dataclass(frozen=True, slots=True)
class MovedFile:
    """What move_file did."""

    source: str
    destination: str


@dataclass(frozen=True, slots=True)
class DeletedFiles:
    """What delete_file did."""

    path: str
    deleted: Annotated[int, Field(description="How many files, links and directories are gone.")]


@tool(title="Write a file", hints=_CHANGES)
async def write_file(
    path: Path,
    content: Annotated[str, Field(description="The text to write.")],
    ctx: Context,
    *,
    mode: Annotated[
        Literal["overwrite", "append", "create"],
        Field(
            description="overwrite: create or replace; append: add at the end; create: only if there is no such file."
        ),
    ] = "overwrite",
    create_dirs: CreateDirs = False,
    encoding: Encoding = "utf-8",
    expected_sha256: Digest = None,
) -> WrittenFile:
    """Write a text file, whole or not at all: who reads it meanwhile sees the old contents or the new."""
    data = _encoded(content, text_codec(encoding))
    written = await ctx.files.write(path, data, Write(mode, create_dirs, expected_sha256), ctx.progress)
    return WrittenFile(path, written.bytes_written, written.size)


@tool(title="Edit a file", hints=_CHANGES, output_schema=EditedFile)
async def edit_file(
    path: Path,
    edits: Annotated[
        list[Replacement],
        Field(min_length=1, max_length=200, description="Replacements, made one after the other; all of them or none."),
    ],
    ctx: Context,
    *,
    dry_run: Annotated[bool, Field(description="Whether only to show the change.")] = False,
    encoding: Encoding = "utf-8",
    expected_sha256: Digest = None,
) -> ToolResult:
    """Replace exact pieces of a text file and answer with the change as a unified diff."""
    wanted = [Edit(edit.old_text, edit.new_text, edit.replace_all) for edit in edits]
    edited = await ctx.files.edit(
        path,
        wanted,
        encoding=text_codec(encoding),
        dry_run=dry_run,
        expected_sha256=expected_sha256,
        progress=ctx.progress,
    )
    written = bool(edited.diff) and not dry_run
    outcome = EditedFile(path, edited.diff, edited.replacements, written)
    return ToolResult((Text(edited.diff or "Nothing differs."),), outcome)


@tool(title="Move a file", hints=_CHANGES)
async def move_file(
    source: Path,
    destination: Annotated[str, Field(min_length=1, description="The new path, name included.")],
    ctx: Context,
    *,
    overwrite: Annotated[bool, Field(description="Whether to replace a file that is there.")] = False,
    create_dirs: CreateDirs = False,
) -> MovedFile:
    """Give a file or directory another name or place."""
    await ctx.files.move(source, destination, overwrite=overwrite, create_dirs=create_dirs, progress=ctx.progress)
    return MovedFile(source, destination)


@tool(title="Delete a file", hints=_CHANGES)
async def delete_file(
    path: Path,
    ctx: Context,
    *,
    recursive: Annotated[bool, Field(description="Whether to delete a directory with all that it holds.")] = False,
) -> DeletedFiles:
    """Delete a file, a link (not what it points to) or an empty directory."""
    return DeletedFiles(path, await ctx.files.delete(path, recursive=recursive, progress=ctx.progress))


def _encoded(content: str, codec: str) -> bytes:
    try:
        return content.encode(codec)
    except UnicodeEncodeError:
        raise ToolError(f"{codec} has no code for some of the content; utf-8 has one for every character") from None
