"""The Resource and ResourceTemplate entities: definitions of readable URIs with the function that reads them.

Owns matching of URIs against templates (RFC 6570 level 1 expressions). A `{name}` inside a template matches up to the
next slash. A `{name}` at the end matches the rest including slashes, so that `file:///{path}` works. Values are
percent-decoded exactly once.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from typing import Any
from urllib.parse import unquote

from tfo_mcp.domain.access import RESOURCES_READ, SCOPES, Caller
from tfo_mcp.domain.content import Annotations, Icon, ResourceContents
from tfo_mcp.domain.errors import InvalidDefinition
from tfo_mcp.domain.prompt import Completer
from tfo_mcp.value_objects import value_object

_EXPRESSION = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")

ReadFunction = Callable[[str, Mapping[str, str], Any], Awaitable[tuple[ResourceContents, ...]]]
"""Takes the URI, the template's variables and the request's context."""


@value_object
class Resource:
    """A resource with a fixed URI: its listed metadata and the function that reads it.

    `own_scope` is a scope that callers need in addition to `resources:read`.
    """

    uri: str
    name: str
    read: ReadFunction
    title: str | None = None
    description: str | None = None
    mime_type: str | None = None
    size: int | None = None
    annotations: Annotations | None = None
    icons: tuple[Icon, ...] = ()
    own_scope: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _SCHEME.match(self.uri):
            raise InvalidDefinition(f"Resource {self.uri!r}: the URI needs a scheme, as in 'scheme://path'")
        _check_scope(f"Resource {self.uri!r}", self.own_scope)

    @property
    def key(self) -> str:
        """The catalog key."""
        return self.uri


@value_object
class ResourceTemplate:
    """A resource template: its listed metadata and the function that reads matching URIs; `own_scope` as above."""

    uri_template: str
    name: str
    read: ReadFunction
    title: str | None = None
    description: str | None = None
    mime_type: str | None = None
    annotations: Annotations | None = None
    icons: tuple[Icon, ...] = ()
    completers: Mapping[str, Completer] = field(default_factory=dict)
    own_scope: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    _pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)
    _literal_length: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_scope(f"Resource template {self.uri_template!r}", self.own_scope)
        literals = _EXPRESSION.split(self.uri_template)
        if not _SCHEME.match(self.uri_template) or any("{" in part or "}" in part for part in literals[::2]):
            raise InvalidDefinition(f"Resource template {self.uri_template!r}: only {{name}} expressions are supported")
        if len(set(self.variables)) != len(self.variables):
            raise InvalidDefinition(f"Resource template {self.uri_template!r}: a variable occurs twice")
        pattern = re.escape(literals[0])
        for position in range(1, len(literals), 2):
            rest = literals[position + 1]
            last = position + 2 == len(literals) and not rest
            pattern += f"(?P<{literals[position]}>{'.+' if last else '[^/]+'})" + re.escape(rest)
        object.__setattr__(self, "_pattern", re.compile(pattern, re.DOTALL))
        object.__setattr__(self, "_literal_length", sum(len(part) for part in literals[::2]))

    @property
    def key(self) -> str:
        """The catalog key."""
        return self.uri_template

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the template's variables, in order."""
        return tuple(_EXPRESSION.findall(self.uri_template))

    @property
    def specificity(self) -> int:
        """Number of literal characters; of several matching templates, the one with the most wins."""
        return self._literal_length

    def match(self, uri: str) -> dict[str, str] | None:
        """Return the decoded values of the variables if `uri` matches the template, otherwise None.

        Bytes that are not UTF-8 are decoded to lone surrogates (`surrogateescape`).
        """
        found = self._pattern.fullmatch(uri)
        if found is None:
            return None
        return {name: unquote(value, errors="surrogateescape") for name, value in found.groupdict().items()}


def scopes_to_read(own_scope: str | None) -> tuple[str, ...]:
    """Return the scopes that reading a resource takes that has this scope of its own."""
    return (RESOURCES_READ,) if own_scope is None else (RESOURCES_READ, own_scope)


def missing_scopes(caller: Caller, resource: Resource | ResourceTemplate | None) -> tuple[str, ...]:
    """Return all scopes that reading takes if the caller lacks one of them, otherwise none; None is no resource."""
    scopes = scopes_to_read(None if resource is None else resource.own_scope)
    return () if all(caller.may(scope) for scope in scopes) else scopes


def may_read(caller: Caller, resource: Resource | ResourceTemplate) -> bool:
    """Return whether a caller may see and read a resource, or the resources of a template."""
    return not missing_scopes(caller, resource)


def _check_scope(owner: str, scope: str | None) -> None:
    if scope is not None and scope not in SCOPES:
        raise InvalidDefinition(f"{owner}: the scope must be one of {', '.join(SCOPES)}")
