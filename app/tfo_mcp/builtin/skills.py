"""The built-in resource template of the files of skills."""

from collections.abc import Awaitable, Callable
from typing import Annotated
from urllib.parse import quote

from pydantic import Field, SkipValidation

from tfo_mcp.builtin.media import binary_type, text_type
from tfo_mcp.builtin.resources import UNRESERVED
from tfo_mcp.plugins import BlobContents, TextContents, resource

_Name = Annotated[SkipValidation[str], Field(description="Name of the skill.")]
_Path = Annotated[SkipValidation[str], Field(description="Path of the file in the skill, such as SKILL.md.")]


def skill_file(
    read: Callable[[str, str], Awaitable[bytes]],
) -> Callable[..., Awaitable[TextContents | BlobContents]]:
    """Return the resource template; `read` returns a file's contents by the skill's name and the path."""

    @resource("skill://{skill}/{path}", name="skill-file", title="File of a skill")
    async def contents(skill: _Name, path: _Path) -> TextContents | BlobContents:
        """A file of a skill, byte for byte: text if it is UTF-8, otherwise binary."""
        data, uri = await read(skill, path), f"skill://{skill}/{quote(path, safe=UNRESERVED)}"
        try:
            return TextContents(uri, data.decode(), text_type(uri))
        except UnicodeDecodeError:
            return BlobContents(uri, data, binary_type(data, uri))

    return contents
