"""PromptHandler: registers, lists and renders prompts."""

from tfo_mcp.application.catalog import Catalog, Page
from tfo_mcp.application.commands import RegisterPrompt, RemovePrompt
from tfo_mcp.application.ports import EventBus
from tfo_mcp.application.queries import GetPrompt, ListPrompts
from tfo_mcp.domain.access import PROMPTS_READ
from tfo_mcp.domain.errors import MissingScope, PromptNotFound
from tfo_mcp.domain.events import PromptRegistered, PromptRemoved, PromptRendered
from tfo_mcp.domain.prompt import Prompt, RenderedPrompt


class PromptHandler:
    """Manages the catalog of prompts."""

    def __init__(self, catalog: Catalog[Prompt], events: EventBus, page_size: int) -> None:
        self._catalog = catalog
        self._events = events
        self._page_size = page_size

    async def register(self, command: RegisterPrompt) -> None:
        """Add or replace a prompt."""
        self._catalog.put(command.prompt)
        self._events.publish(PromptRegistered(command.prompt.name))

    async def remove(self, command: RemovePrompt) -> None:
        """Remove a prompt; a no-op if it does not exist."""
        self._catalog.remove(command.name)
        self._events.publish(PromptRemoved(command.name))

    async def list(self, query: ListPrompts) -> Page[Prompt]:
        """Return a page of the prompts."""
        return self._catalog.page(query.cursor, self._page_size, lambda _: query.caller.may(PROMPTS_READ))

    async def render(self, query: GetPrompt) -> RenderedPrompt:
        """Render a prompt with its arguments.

        Raises:
            PromptNotFound: no prompt with that name exists for this caller.
            InvalidParams: the prompt refuses its arguments.
            MissingScope: it needs further scopes.
        """
        if not query.context.caller.may(PROMPTS_READ):
            raise PromptNotFound(query.name, PROMPTS_READ)
        prompt = self._catalog.get(query.name)
        if prompt is None:
            raise PromptNotFound(query.name)
        try:
            rendered = await prompt.render(query.arguments, query.context)
        except MissingScope as missing:
            raise missing.including(PROMPTS_READ) from None
        self._events.publish(PromptRendered(prompt.name))
        return rendered
