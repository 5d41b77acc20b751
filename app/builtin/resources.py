"""The built-in resources: config://server, status://health and the files beneath the roots.

A file: URI is absolute, as everywhere; because the template's variable lacks the leading slash, a path that is not
beneath a root when read as absolute is taken as relative to the first root.
"""

import mimetypes
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import Field

from app.plugins import BlobContents, Context, TextContents, ToolError, resource

_TEXT_TYPES = frozenset(
    {"application/javascript", "application/json", "application/sql", "application/toml", "application/xml"}
    | {"application/x-sh", "application/yaml", "image/svg+xml"}
)
_NEWER_TYPES = {  # not known to every version of Python that is supported
    ".md": "text/markdown",
    ".toml": "application/toml",
    ".webp": "image/webp",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}
_PLAIN = "text/plain"
_BINARY = "application/octet-stream"
_UNRESERVED = "/!$&'()*+,;=:@"  # may stand in a URI's path as they are (RFC 3986, pchar)


@resource("config://server", name="config", title="Configuration", mime_type="application/json")
async def configuration(ctx: Context) -> Mapping[str, Any]:
    """The settings in effect, by section. Secrets are left out."""
    return dict(ctx.configuration())


@resource("status://health", name="health", title="Health", mime_type="application/json")
async def health(ctx: Context) -> object:
    """How the server is: how long it has been up, what it offers, how many calls it has served."""
    return await ctx.health()


@resource("file:///{path}", name="file", title="File")
async def file(
    path: Annotated[str, Field(description="Path of the file: absolute, or relative to the first root.")],
    ctx: Context,
) -> TextContents | BlobContents:
    """A file beneath the configured roots: text if it is UTF-8, bytes otherwise."""
    data = await ctx.files.read(await _store_path(path, ctx))
    uri = f"file:///{quote(path, safe=_UNRESERVED)}"
    guess = _types().guess_type(path)[0]
    text = _text(data)
    if text is None:
        return BlobContents(uri, data, _BINARY if guess is None or _is_text(guess) else guess)
    return TextContents(uri, text, guess if guess is not None and _is_text(guess) else _PLAIN)


async def _store_path(path: str, ctx: Context) -> str:
    absolute = f"/{path.lstrip('/')}"
    try:
        await ctx.files.uri(absolute)
    except ToolError:
        return path
    return absolute


@cache
def _types() -> mimetypes.MimeTypes:
    """Return the types that Python knows: with the machine's own tables, answers would differ between machines."""
    types = mimetypes.MimeTypes()
    for ending, mime_type in _NEWER_TYPES.items():
        types.add_type(mime_type, ending)
    return types


def _text(data: bytes) -> str | None:
    if b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _is_text(mime_type: str) -> bool:
    return mime_type.startswith("text/") or mime_type in _TEXT_TYPES
