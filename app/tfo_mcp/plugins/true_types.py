"""Blocks of images and audio with the type that their data have: a wrong one spoils a conversation for good.

Hosts keep results in the conversation, and models refuse every later request with an image whose type is wrong, or that
is no PNG, JPEG, GIF or WebP.
"""

from collections.abc import Iterable
from dataclasses import replace

from tfo_mcp.domain.content import Audio, BlobContents, Content, EmbeddedResource, Image, ResourceContents
from tfo_mcp.domain.media_types import IMAGE_BLOCK_TYPES, recognized_type

_URI = "attachment:///"
_ALIASES = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}


def with_true_types(blocks: Iterable[Content]) -> tuple[Content, ...]:
    """Return the blocks; images and audio have the type that their data show, or become resources of that type.

    Data of an unknown format keep the type that the author gave.
    """
    return tuple(_with_true_type(block) if isinstance(block, Image | Audio) else block for block in blocks)


def true_contents(contents: ResourceContents) -> ResourceContents:
    """Return the contents of a resource; binary ones that are named an image or audio have the type of their data."""
    if not isinstance(contents, BlobContents) or not (contents.mime_type or "").startswith(("image/", "audio/")):
        return contents
    found = _type_of(contents.data, contents.mime_type or "")
    return contents if found == contents.mime_type else replace(contents, mime_type=found)


def _with_true_type(block: Image | Audio) -> Content:
    found = _type_of(block.data, block.mime_type)
    if found in IMAGE_BLOCK_TYPES:
        return Image(block.data, found, block.annotations, block.meta)
    if found.startswith("audio/"):
        return Audio(block.data, found, block.annotations, block.meta)
    contents = BlobContents(f"{_URI}{found.replace('/', '.')}", block.data, found)
    return EmbeddedResource(contents, block.annotations, block.meta)


def _type_of(data: bytes, named: str) -> str:
    found = recognized_type(data)
    if found is None or (found == "video/mp4" and named == "audio/mp4"):  # both have the same signature
        return _ALIASES.get(named, named)
    return found
