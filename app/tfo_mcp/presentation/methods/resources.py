"""resources/list, resources/templates/list, resources/read, resources/subscribe and resources/unsubscribe."""

from collections.abc import Mapping
from typing import Any

from tfo_mcp.application.bus import Bus
from tfo_mcp.application.commands import SubscribeResource, UnsubscribeResource
from tfo_mcp.application.ports import ConversationSummary
from tfo_mcp.application.queries import (
    ListConversations,
    ListResources,
    ListResourceTemplates,
    ListSkillDocuments,
    ReadResource,
    ResolveResource,
)
from tfo_mcp.domain.access import Caller
from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.presentation.methods.context import Contexts
from tfo_mcp.presentation.methods.lists import RenderedLists, listed
from tfo_mcp.presentation.protocol import rendering
from tfo_mcp.presentation.protocol.call import Call


class ResourceMethods:
    """Lists and reads resources, and manages subscriptions to them."""

    def __init__(self, bus: Bus, contexts: Contexts, lists: RenderedLists) -> None:
        self._bus = bus
        self._contexts = contexts
        self._lists = lists

    async def list(self, call: Call) -> bytes:
        """Answer resources/list; the skills and the caller's conversations follow the first page."""

        async def render(caller: Caller, cursor: str | None) -> Mapping[str, Any]:
            page = await self._bus.handle(ListResources(caller, cursor))
            shown = [rendering.resource(resource, call.revision) for resource in page.entries]
            return listed({"resources": shown}, page.next_cursor)

        if call.params.get("cursor") is None:
            own = [rendering.skill_document(skill) for skill in await self._bus.handle(ListSkillDocuments(call.caller))]
            own += [_conversation(summary) for summary in await self._bus.handle(ListConversations(call.caller))]
            if own:
                page = await render(call.caller, None)
                return call.era.finish(call, {**page, "resources": [*page["resources"], *own]})
        return await self._lists.get(call, render)

    async def list_templates(self, call: Call) -> bytes:
        """Answer resources/templates/list."""

        async def render(caller: Caller, cursor: str | None) -> Mapping[str, Any]:
            page = await self._bus.handle(ListResourceTemplates(caller, cursor))
            shown = [rendering.resource_template(template, call.revision) for template in page.entries]
            return listed({"resourceTemplates": shown}, page.next_cursor)

        return await self._lists.get(call, render)

    async def read(self, call: Call) -> bytes:
        """Answer resources/read."""
        uri = call.params["uri"]
        try:
            contents = await self._bus.handle(ReadResource(uri, self._contexts.of(call)))
        except OperationFailed as problem:
            raise OperationFailed(problem.message, uri=uri) from None
        return call.era.finish(
            call, {"contents": [rendering.resource_contents(part, call.revision) for part in contents]}
        )

    async def subscribe(self, call: Call) -> bytes:
        """Answer resources/subscribe."""
        assert call.session is not None
        await self._bus.handle(ResolveResource(call.params["uri"], call.caller))
        await self._bus.handle(SubscribeResource(call.session.id, call.params["uri"]))
        return call.era.finish(call, {})

    async def unsubscribe(self, call: Call) -> bytes:
        """Answer resources/unsubscribe."""
        assert call.session is not None
        await self._bus.handle(UnsubscribeResource(call.session.id, call.params["uri"]))
        return call.era.finish(call, {})


def _conversation(summary: ConversationSummary) -> rendering.JsonObject:
    return {
        "uri": f"conversation://{summary.id}",
        "name": summary.title or summary.id,
        "description": f"Conversation with {summary.model or 'the model of the client'}, {summary.messages} messages",
        "mimeType": "application/json",
    }
