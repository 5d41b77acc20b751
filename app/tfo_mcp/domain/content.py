"""Content blocks: what tools, prompts and resources are made of.

Value objects only. Binary data is bytes here; base64 and field names belong to the wire.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Role = Literal["user", "assistant"]


@dataclass(frozen=True, slots=True)
class Annotations:
    """Hints about a block: for whom, how important (0 to 1), last changed when (ISO 8601)."""

    audience: tuple[Role, ...] = ()
    priority: float | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True)
class Icon:
    """A picture that stands for a tool, resource or prompt; `src` is an https: or data: URI."""

    src: str
    mime_type: str | None = None
    sizes: tuple[str, ...] = ()
    theme: Literal["light", "dark"] | None = None


@dataclass(frozen=True, slots=True)
class TextContents:
    """The contents of a resource as text."""

    uri: str
    text: str
    mime_type: str | None = None


@dataclass(frozen=True, slots=True)
class BlobContents:
    """The contents of a resource as bytes."""

    uri: str
    data: bytes
    mime_type: str | None = None


ResourceContents = TextContents | BlobContents


@dataclass(frozen=True, slots=True)
class Text:
    """A block of text."""

    text: str
    annotations: Annotations | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """A picture, encoded as `mime_type` says."""

    data: bytes
    mime_type: str
    annotations: Annotations | None = None


@dataclass(frozen=True, slots=True)
class Audio:
    """A sound, encoded as `mime_type` says."""

    data: bytes
    mime_type: str
    annotations: Annotations | None = None


@dataclass(frozen=True, slots=True)
class EmbeddedResource:
    """A resource with its contents, carried along."""

    resource: ResourceContents
    annotations: Annotations | None = None


@dataclass(frozen=True, slots=True)
class ResourceLink:
    """A pointer to a resource that the client may read."""

    uri: str
    name: str
    title: str | None = None
    description: str | None = None
    mime_type: str | None = None
    size: int | None = None
    annotations: Annotations | None = None


Content = Text | Image | Audio | EmbeddedResource | ResourceLink
JsonObject = Mapping[str, object]
