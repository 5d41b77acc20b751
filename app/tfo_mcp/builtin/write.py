"""The tools that change files: write_file, edit_file, move_file, delete_file.

Owns the tools' parameters and results. Atomicity and access checks belong to the file store behind `ctx.files`.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from tfo_mcp.builtin.arguments import CreateDirs, Digest, Encoding, Path, text_codec
from tfo_mcp.plugins import Context, Edit, Text, ToolError, ToolHints, ToolResult, Write, tool

_CHANGES = ToolHints(read_only=False, destructive=True, idempotent=False, open_world=False)


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """Result of write_file."""

    path: Annotated[str, Field(description="The path as given in the call.")]
    bytes_written: Annotated[int, Field(description="Number of bytes written.")]
    size: Annotated[int, Field(description="Size of the file after the write, in bytes.")]


@dataclass(frozen=True, slots=True)
class Replacement:
    """Replacement of one exact piece of text."""

    old_text: Annotated[
        str, Field(min_length=1, description="Exact text to replace, including whitespace and line endings.")
    ]
    new_text: Annotated[str, Field(description="Replacement text; empty to delete the old text.")]
    replace_all: Annotated[
        bool,
        Field(description="Whether to replace all occurrences. Otherwise `old_text` must occur exactly once."),
    ] = False


@dataclass(frozen=True, slots=True)
class EditedFile:
    """Result of edit_file."""

    path: Annotated[str, Field(description="The path as given in the call.")]
    diff: Annotated[str, Field(description="Unified diff of the change; empty if the text does not change.")]
    replacements: Annotated[int, Field(description="Number of replaced occurrences.")]
    written: Annotated[bool, Field(description="Whether the file was written.")]


@dataclass(frozen=True, slots=True)
class MovedFile:
    """Result of move_file."""

    source: str
    destination: str


@dataclass(frozen=True, slots=True)
class DeletedFiles:
    """Result of delete_file."""

    path: str
    deleted: Annotated[int, Field(description="Number of files, links and directories that were deleted.")]


@tool(title="Write a file", hints=_CHANGES)
async def write_file(
    path: Path,
    content: Annotated[str, Field(description="Text to write to the file.")],
    ctx: Context,
    *,
    mode: Annotated[
        Literal["overwrite", "append", "create"],
        Field(
            description="overwrite: create the file or replace its contents; append: add to the end of the file, "
            "creating it if needed; create: fail if the file exists."
        ),
    ] = "overwrite",
    create_dirs: CreateDirs = False,
    encoding: Encoding = "utf-8",
    expected_sha256: Digest = None,
) -> WrittenFile:
    """Write text to a file, atomically: readers see either the old or the new contents.

    By default, creates the file or overwrites its contents.
    """
    data = _encoded(content, text_codec(encoding))
    written = await ctx.files.write(path, data, Write(mode, create_dirs, expected_sha256), ctx.progress)
    return WrittenFile(path, written.bytes_written, written.size)


@tool(title="Edit a file", hints=_CHANGES, output_schema=EditedFile)
async def edit_file(
    path: Path,
    edits: Annotated[
        list[Replacement],
        Field(
            min_length=1,
            max_length=200,
            description="Replacements, applied in order. If one fails, the file is not changed.",
        ),
    ],
    ctx: Context,
    *,
    dry_run: Annotated[bool, Field(description="Whether to return the diff without writing the file.")] = False,
    encoding: Encoding = "utf-8",
    expected_sha256: Digest = None,
) -> ToolResult:
    """Edit a text file by replacing exact text, and return a unified diff of the change."""
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
    return ToolResult((Text(edited.diff or "No changes."),), outcome)


@tool(title="Move a file", hints=_CHANGES)
async def move_file(
    source: Path,
    destination: Annotated[str, Field(min_length=1, description="New path, including the file name.")],
    ctx: Context,
    *,
    overwrite: Annotated[bool, Field(description="Whether to replace an existing destination.")] = False,
    create_dirs: CreateDirs = False,
) -> MovedFile:
    """Move or rename a file or directory. Directories cannot be moved to another file system."""
    await ctx.files.move(source, destination, overwrite=overwrite, create_dirs=create_dirs, progress=ctx.progress)
    return MovedFile(source, destination)


@tool(title="Delete a file", hints=_CHANGES)
async def delete_file(
    path: Path,
    ctx: Context,
    *,
    recursive: Annotated[bool, Field(description="Whether to delete a directory and all its contents.")] = False,
) -> DeletedFiles:
    """Delete a file, a symbolic link (not its target) or a directory.

    Directories that are not empty are deleted only if `recursive` is true. Deletion cannot be undone.
    """
    return DeletedFiles(path, await ctx.files.delete(path, recursive=recursive, progress=ctx.progress))


def _encoded(content: str, codec: str) -> bytes:
    try:
        return content.encode(codec)
    except UnicodeEncodeError:
        raise ToolError(f"The content has characters that {codec} cannot encode; use utf-8") from None
