"""The built-in resources for the root directories and the files in them.

file: URIs are absolute. The variable of the template `file:///{path}` has no leading slash. A path that is not in a
root when read as absolute is therefore resolved relative to the first root.
"""

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Annotated
from urllib.parse import quote_from_bytes

from pydantic import Field, SkipValidation
from pydantic_core import to_json

from tfo_mcp.builtin.media import binary_type, text_type
from tfo_mcp.plugins import BlobContents, Context, FileRoot, Listing, TextContents, resource, text_of

UNRESERVED = "/!$&'()*+,;=:@"  # characters that a URI path may contain unescaped (RFC 3986, pchar)
_DIRECTORY = "inode/directory"
_JSON = "application/json"

_FileName = Annotated[
    SkipValidation[str],  # names that are not UTF-8 contain lone surrogates (os.fsdecode), which pydantic rejects
    Field(description="Path of the file or directory: absolute, or relative to the first root directory."),
]


async def _paths(typed: str, others: Mapping[str, str], ctx: Context) -> Iterable[str]:
    return await ctx.files.complete(typed)


@resource("file:///{path}", name="file", title="File", complete={"path": _paths})
async def file(path: _FileName, ctx: Context) -> TextContents | BlobContents:
    """A file in a root directory: text in UTF-8 or with a byte-order mark, otherwise binary. A directory is JSON."""
    uri = f"file:///{quote_from_bytes(os.fsencode(path), safe=UNRESERVED)}"
    return await _contents(uri, ctx)


def roots_of(roots: Sequence[FileRoot]) -> list[Callable[..., Awaitable[TextContents | BlobContents]]]:
    """Return one resource per root; reading it lists the root's entries."""
    return [_root(root) for root in roots]


def _root(root: FileRoot) -> Callable[..., Awaitable[TextContents | BlobContents]]:
    @resource(
        root.uri,
        name=os.path.basename(root.path) or "/",
        title="Root directory",
        description=f"A directory that this server may {'read' if root.read_only else 'read and change'}.",
        mime_type=_DIRECTORY,
    )
    async def directory(ctx: Context) -> TextContents | BlobContents:
        return await _contents(root.uri, ctx)

    return directory


async def _contents(uri: str, ctx: Context) -> TextContents | BlobContents:
    """Return the contents of a file, or the entries of a directory as JSON."""
    info = await ctx.files.info(uri, digest=False)
    if info.type == "directory":
        listing = await ctx.files.list(uri, depth=1, cursor=None, most=None)
        return TextContents(uri, _listed(listing), _JSON)
    data = await ctx.files.read(uri)
    text = text_of(data)
    return BlobContents(uri, data, binary_type(data, uri)) if text is None else TextContents(uri, text, text_type(uri))


def _listed(listing: Listing) -> str:
    entries = [{"path": entry.path, "type": entry.type, "size": entry.size} for entry in listing.entries]
    return to_json({"entries": entries, "truncated": listing.truncated}).decode()
