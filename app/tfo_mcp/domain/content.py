"""Content blocks: the values that tools, prompts and resources consist of.

Value objects only. Binary data is bytes. `meta` is metadata for the client (`_meta`), by keys with a prefix. Base64 and
protocol field names belong to the presentation.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from tfo_mcp.value_objects import value_object

Role = Literal["user", "assistant"]


@value_object
class Annotations:
    """Hints about a block: intended audience, priority (0 to 1), and last modification time (ISO 8601)."""

    audience: tuple[Role, ...] = ()
    priority: float | None = None
    last_modified: str | None = None


@value_object
class Icon:
    """An icon of a tool, resource or prompt; `src` is an https: or data: URI."""

    src: str
    mime_type: str | None = None
    sizes: tuple[str, ...] = ()
    theme: Literal["light", "dark"] | None = None


@value_object
class TextContents:
    """The contents of a resource as text."""

    uri: str
    text: str
    mime_type: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


@value_object
class BlobContents:
    """The contents of a resource as bytes."""

    uri: str
    data: bytes
    mime_type: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


ResourceContents = TextContents | BlobContents


@value_object
class Text:
    """A block of text."""

    text: str
    annotations: Annotations | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


@value_object
class Image:
    """An image in the format `mime_type`."""

    data: bytes
    mime_type: str
    annotations: Annotations | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


@value_object
class Audio:
    """Audio in the format `mime_type`."""

    data: bytes
    mime_type: str
    annotations: Annotations | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


@value_object
class EmbeddedResource:
    """A resource embedded with its contents."""

    resource: ResourceContents
    annotations: Annotations | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


@value_object
class ResourceLink:
    """A link to a resource that the client may read."""

    uri: str
    name: str
    title: str | None = None
    description: str | None = None
    mime_type: str | None = None
    size: int | None = None
    annotations: Annotations | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


Content = Text | Image | Audio | EmbeddedResource | ResourceLink
JsonObject = Mapping[str, object]
