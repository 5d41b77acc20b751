"""ResourceHandler: registers, lists and reads resources and templates."""

from functools import partial

from tfo_mcp.application.catalog import Catalog, Page
from tfo_mcp.application.commands import AnnounceUpdate, RegisterResource, RemoveResource
from tfo_mcp.application.ports import EventBus
from tfo_mcp.application.queries import ListResources, ListResourceTemplates, ReadResource, ResolveResource
from tfo_mcp.domain.access import Caller
from tfo_mcp.domain.content import ResourceContents
from tfo_mcp.domain.errors import (
    ConversationNotFound,
    FileMissing,
    InvalidParams,
    MissingScope,
    OutOfReach,
    ResourceNotFound,
)
from tfo_mcp.domain.events import ResourceRead, ResourceRegistered, ResourceRemoved, ResourceUpdated, SandboxRefused
from tfo_mcp.domain.file_uris import file_uri, is_file_uri, path_of_file_uri
from tfo_mcp.domain.resource import Resource, ResourceTemplate, may_read, missing_scopes, scopes_to_read


class ResourceHandler:
    """Manages the catalogs of resources and templates.

    A fixed URI takes precedence over templates, and a template with more literal characters over one with fewer.
    """

    def __init__(
        self,
        resources: Catalog[Resource],
        templates: Catalog[ResourceTemplate],
        events: EventBus,
        page_size: int,
    ) -> None:
        self._resources = resources
        self._templates = templates
        self._events = events
        self._page_size = page_size

    async def register(self, command: RegisterResource) -> None:
        """Add or replace a resource or a template."""
        match command.resource:
            case Resource() as resource:
                self._resources.put(resource)
            case ResourceTemplate() as template:
                self._templates.put(template)
        self._events.publish(ResourceRegistered(command.resource.key))

    async def remove(self, command: RemoveResource) -> None:
        """Remove a resource or template; a no-op if it does not exist."""
        self._resources.remove(command.uri)
        self._templates.remove(command.uri)
        self._events.publish(ResourceRemoved(command.uri))

    async def announce(self, command: AnnounceUpdate) -> None:
        """Publish that the contents of a resource have changed."""
        self._events.publish(ResourceUpdated(command.uri))

    async def list(self, query: ListResources) -> Page[Resource]:
        """Return a page of the resources with a fixed URI."""
        return self._resources.page(query.cursor, self._page_size, partial(may_read, query.caller))

    async def list_templates(self, query: ListResourceTemplates) -> Page[ResourceTemplate]:
        """Return a page of the templates."""
        return self._templates.page(query.cursor, self._page_size, partial(may_read, query.caller))

    async def resolve(self, query: ResolveResource) -> None:
        """Check that a URI resolves to a resource or template, without reading it.

        Raises:
            ResourceNotFound: it does not, or the caller may not read resources.
            InvalidParams: it is an invalid file: URI.
        """
        self._resolve(query.uri, query.caller)

    async def read(self, query: ReadResource) -> tuple[ResourceContents, ...]:
        """Return the contents of a resource.

        Raises:
            ResourceNotFound: the URI does not resolve to a resource, or its file is missing.
            OperationFailed: the resource cannot be read; the message says why.
            MissingScope: it needs further scopes.
        """
        resource, variables = self._resolve(query.uri, query.context.caller)
        try:
            contents = await resource.read(query.uri, variables, query.context)
        except MissingScope as missing:
            raise missing.including(*scopes_to_read(resource.own_scope)) from None
        except (FileMissing, ConversationNotFound):
            raise ResourceNotFound(query.uri) from None
        except OutOfReach as refusal:
            self._events.publish(SandboxRefused(refusal.place))
            raise
        self._events.publish(ResourceRead(resource.key))
        return contents

    def require_scopes(self, uri: str, caller: Caller) -> None:
        """Check that a caller may read what is at a URI; it may be nothing.

        Raises:
            ResourceNotFound: the caller lacks a scope.
            InvalidParams: it is an invalid file: URI.
        """
        self._find_permitted(uri, caller)

    def _resolve(self, uri: str, caller: Caller) -> tuple[Resource | ResourceTemplate, dict[str, str]]:
        found = self._find_permitted(uri, caller)
        if found is None:
            raise ResourceNotFound(uri)
        return found

    def _find_permitted(self, uri: str, caller: Caller) -> tuple[Resource | ResourceTemplate, dict[str, str]] | None:
        found = self._find(uri)
        if missing := missing_scopes(caller, None if found is None else found[0]):
            raise ResourceNotFound(uri, *missing)
        return found

    def _find(self, uri: str) -> tuple[Resource | ResourceTemplate, dict[str, str]] | None:
        resource = self._resources.get(uri)
        if resource is None and is_file_uri(uri):
            uri = _canonical(uri)
            resource = self._resources.get(uri)
        if resource is not None:
            return resource, {}
        matches = [(template, found) for template in self._templates if (found := template.match(uri)) is not None]
        return max(matches, key=lambda match: match[0].specificity, default=None)


def _canonical(uri: str) -> str:
    """Return the canonical form of a file: URI, in which roots and files are registered.

    Raises:
        InvalidParams: the URI is invalid.
    """
    try:
        return file_uri(path_of_file_uri(uri))
    except ValueError as problem:
        raise InvalidParams(f"Invalid URI: {problem}", uri=uri) from None
