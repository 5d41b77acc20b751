"""The tools that change files: write_file, edit_file, move_file, delete_file.

Owns the tools' parameters and results. Atomicity and access checks belong to the file store behind `ctx.files`.
"""

from typing import Annotated, Literal

from pydantic import Field

from tfo_mcp.builtin.arguments import CreateDirs, Digest, Encoding, Path, text_codec
from tfo_mcp.builtin.listing_text import fitting
from tfo_mcp.builtin.output_schemas import members
from tfo_mcp.builtin.structured_content import is_repeated
from tfo_mcp.plugins import Context, Edit, Text, ToolHints, ToolResult, Write, tool
from tfo_mcp.value_objects import value_object

_NOTE_BYTES = 100  # reserved for the note after a truncated diff
_EDITED = members(diff="string?", replacements="integer", written="boolean")
_CHANGES = ToolHints(read_only=False, destructive=True, idempotent=False, open_world=False)


@value_object
class WrittenFile:
    """Result of write_file."""

    path: str
    bytes_written: int
    size: int


@value_object
class Replacement:
    """Replacement of one exact piece of text."""

    old_text: Annotated[
        str,
        Field(min_length=1, description="Exact text to replace, including whitespace."),
    ]
    new_text: str
    replace_all: Annotated[bool, Field(description="Otherwise `old_text` must occur exactly once.")] = False


@value_object
class EditedFile:
    """Result of edit_file; `diff` is null if only the text has it."""

    path: str
    diff: str | None
    replacements: int
    written: bool


@value_object
class MovedFile:
    """Result of move_file."""

    source: str
    destination: str


@value_object
class DeletedFiles:
    """Result of delete_file."""

    path: str
    deleted: int


@tool(title="Write a file", hints=_CHANGES, output_schema=members(bytes_written="integer", size="integer"))
async def write_file(
    path: Path,
    content: Annotated[str, Field(description="Text to write.")],
    ctx: Context,
    *,
    mode: Annotated[
        Literal["overwrite", "append", "create"],
        Field(description="create fails if the file exists; the others create it."),
    ] = "overwrite",
    create_dirs: CreateDirs = False,
    encoding: Encoding = "utf-8",
    expected_sha256: Digest = None,
) -> ToolResult:
    """Create a file, or replace or extend its contents, atomically."""
    how = Write(mode, create_dirs, expected_sha256)
    written = await ctx.files.write_text(path, content, text_codec(encoding), how, ctx.progress)
    return ToolResult(structured=WrittenFile(path, written.bytes_written, written.size))


@tool(title="Edit a file", hints=_CHANGES, output_schema=_EDITED)
async def edit_file(
    path: Path,
    edits: Annotated[
        list[Replacement],
        Field(
            min_length=1,
            max_length=200,
            description="Applied in order, all or none.",
        ),
    ],
    ctx: Context,
    *,
    dry_run: Annotated[bool, Field(description="Return the diff without writing.")] = False,
    encoding: Encoding = "utf-8",
    expected_sha256: Digest = None,
) -> ToolResult:
    """Replace exact text in a file, and return a unified diff."""
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
    lines = edited.diff.splitlines(keepends=True)
    shown = "".join(lines[: fitting(lines, ctx.max_result_bytes - _NOTE_BYTES)])
    rest = "Read the file with read_file to see the rest." if written else "Try fewer edits at once to see the rest."
    note = "" if len(shown) == len(edited.diff) else f"[Truncated. {rest}]"
    diff = edited.diff if is_repeated(edited.diff) else None
    outcome = EditedFile(path, diff, edited.replacements, written)
    return ToolResult((Text(f"{shown}{note}" or "No changes."),), outcome)


@tool(title="Move a file", hints=_CHANGES, output_schema={"type": "object"})
async def move_file(
    source: Path,
    destination: Annotated[str, Field(min_length=1, description="New path with the file name.")],
    ctx: Context,
    *,
    overwrite: Annotated[bool, Field(description="Replace an existing destination.")] = False,
    create_dirs: CreateDirs = False,
) -> ToolResult:
    """Move or rename a file or directory."""
    await ctx.files.move(source, destination, overwrite=overwrite, create_dirs=create_dirs, progress=ctx.progress)
    return ToolResult(structured=MovedFile(source, destination))


@tool(title="Delete a file", hints=_CHANGES, output_schema=members(deleted="integer"))
async def delete_file(
    path: Path,
    ctx: Context,
    *,
    recursive: Annotated[bool, Field(description="Delete a directory with its contents.")] = False,
) -> ToolResult:
    """Delete a file, link or directory. Deletion cannot be undone."""
    deleted = await ctx.files.delete(path, recursive=recursive, progress=ctx.progress)
    return ToolResult(structured=DeletedFiles(path, deleted))
