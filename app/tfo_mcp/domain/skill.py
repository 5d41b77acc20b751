"""The Skill value: instructions for agents in a directory of files, with their sizes and digests (SEP-2640).

Owns the rules for names, frontmatter and sizes, and the `skill:` URIs. Must not know where skills are stored.
"""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from tfo_mcp.domain.errors import InvalidDefinition
from tfo_mcp.value_objects import value_object

DOCUMENT = "SKILL.md"
MOST_FILES = 512
MOST_BYTES = 16 * 1024 * 1024
_SCHEME = "skill://"
_NAME = re.compile(r"(?!.*--)[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?")
_LONGEST_DESCRIPTION = 1024
_LONGEST_COMPATIBILITY = 500
_RESERVED = "io.modelcontextprotocol/"
_UNRESERVED = "!$&'()*+,;=:@"  # characters that a segment of a URI path may contain unescaped (RFC 3986, pchar)


@value_object
class SkillFile:
    """A file of a skill: its path in the skill, its size in bytes, and its SHA-256 in hexadecimal digits."""

    path: str
    size: int
    sha256: str


@value_object
class SkillEntry:
    """A file or a directory directly in a directory of a skill; `size` is in bytes, None for a directory."""

    uri: str
    name: str
    size: int | None

    @property
    def key(self) -> str:
        """The catalog key."""
        return self.uri


@value_object
class Skill:
    """A skill: the name of its directory, the frontmatter of its document, and its files, sorted by path."""

    name: str
    frontmatter: Mapping[str, Any]
    files: tuple[SkillFile, ...]

    def __post_init__(self) -> None:
        _check_frontmatter(self.name, self.frontmatter)
        if all(file.path != DOCUMENT for file in self.files):
            raise InvalidDefinition(f"{DOCUMENT} is missing")
        if len(self.files) > MOST_FILES:
            raise InvalidDefinition(f"more than {MOST_FILES} files: move some out of the directory")
        if (size := sum(file.size for file in self.files)) > MOST_BYTES:
            raise InvalidDefinition(f"{size} bytes in all its files, at most {MOST_BYTES} are served")

    @property
    def uri(self) -> str:
        """The URI of the skill's document."""
        return self.uri_of(DOCUMENT)

    @property
    def key(self) -> str:
        """The catalog key."""
        return self.uri

    @property
    def description(self) -> str:
        """What the skill is for, and when to use it."""
        return str(self.frontmatter["description"])

    def uri_of(self, path: str) -> str:
        """Return the URI of a file or a directory of the skill; an empty path is the skill's directory."""
        return "/".join((f"{_SCHEME}{self.name}", *(quote(part, safe=_UNRESERVED) for part in _parts(path))))

    def entries(self, uri: str) -> tuple[SkillEntry, ...] | None:
        """Return what lies directly in the directory with a URI; None if the skill has no such directory."""
        found: dict[str, SkillEntry] = {}
        for file in self.files:
            *above, _ = parts = _parts(file.path)
            for depth in range(len(above) + 1):
                if self.uri_of("/".join(above[:depth])) != uri.rstrip("/"):
                    continue
                inner = self.uri_of("/".join(parts[: depth + 1]))
                found[inner] = SkillEntry(inner, parts[depth], file.size if depth == len(above) else None)
        return tuple(found.values()) or None


def _parts(path: str) -> tuple[str, ...]:
    return PurePosixPath(path).parts


def _check_frontmatter(directory: str, frontmatter: Mapping[str, Any]) -> None:
    """Check the fields that the Agent Skills specification defines.

    Raises:
        InvalidDefinition: a field is missing or wrong; the message says which and why.
    """
    name, description = frontmatter.get("name"), frontmatter.get("description")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidDefinition("name: 1 to 64 lower-case letters, digits and single hyphens between them")
    if name != directory:
        raise InvalidDefinition(f"name: {name!r} must be the name of the directory, {directory!r}")
    if not isinstance(description, str) or not description.strip() or len(description) > _LONGEST_DESCRIPTION:
        raise InvalidDefinition(f"description: a text of 1 to {_LONGEST_DESCRIPTION} characters")
    if not isinstance(frontmatter.get("license", ""), str):
        raise InvalidDefinition("license: must be a text")
    if not _is_tool_list(frontmatter.get("allowed-tools", "")):
        raise InvalidDefinition("allowed-tools: must be a text, or a list of texts")
    compatibility = frontmatter.get("compatibility", "-")
    if not isinstance(compatibility, str) or not 0 < len(compatibility) <= _LONGEST_COMPATIBILITY:
        raise InvalidDefinition(f"compatibility: a text of 1 to {_LONGEST_COMPATIBILITY} characters")
    metadata = frontmatter.get("metadata", {})
    if not isinstance(metadata, Mapping) or any(key.startswith(_RESERVED) for key in metadata):
        raise InvalidDefinition(f"metadata: must be a mapping whose keys do not begin with {_RESERVED}")


def _is_tool_list(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(tool, str) for tool in value))
