"""prompts/list, prompts/get and completion/complete."""

from collections.abc import Mapping
from typing import Any, Literal

from tfo_mcp.application.bus import Bus
from tfo_mcp.application.queries import Complete, GetPrompt, ListPrompts
from tfo_mcp.domain.access import Caller
from tfo_mcp.domain.errors import Kind, NotFound
from tfo_mcp.domain.text import shortened
from tfo_mcp.presentation.methods.context import Contexts
from tfo_mcp.presentation.methods.lists import RenderedLists, listed
from tfo_mcp.presentation.protocol import rendering
from tfo_mcp.presentation.protocol.call import Call
from tfo_mcp.presentation.protocol.faults import Fault
from tfo_mcp.presentation.protocol.rendering import mapping


class PromptMethods:
    """Lists and renders prompts, and completes the arguments of prompts and templates."""

    def __init__(self, bus: Bus, contexts: Contexts, lists: RenderedLists) -> None:
        self._bus = bus
        self._contexts = contexts
        self._lists = lists

    async def list(self, call: Call) -> bytes:
        """Answer prompts/list."""

        async def render(caller: Caller, cursor: str | None) -> Mapping[str, Any]:
            page = await self._bus.handle(ListPrompts(caller, cursor))
            shown = [rendering.prompt(prompt, call.revision) for prompt in page.entries]
            return listed({"prompts": shown}, page.next_cursor)

        return await self._lists.get(call, render)

    async def get(self, call: Call) -> bytes:
        """Answer prompts/get."""
        arguments = call.params.get("arguments") or {}
        rendered = await self._bus.handle(GetPrompt(call.params["name"], arguments, self._contexts.of(call)))
        return call.era.finish(call, rendering.rendered_prompt(rendered, call.revision))

    async def complete(self, call: Call) -> bytes:
        """Answer completion/complete. An unknown prompt or template is an invalid-params error in every revision."""
        reference, argument = call.params["ref"], call.params["argument"]
        others = mapping(mapping(call.params.get("context")).get("arguments"))
        is_prompt = reference["type"] == "ref/prompt"
        target = reference["name"] if is_prompt else reference["uri"]
        kind: Literal["prompt", "resource"] = "prompt" if is_prompt else "resource"
        query = Complete(kind, target, argument["name"], argument["value"], others, self._contexts.of(call))
        try:
            found = await self._bus.handle(query)
        except NotFound as problem:
            raise Fault(Kind.INVALID_PARAMS, problem.message, needs=problem.scopes, name=shortened(target)) from None
        values = {"values": list(found.values), "total": found.total, "hasMore": found.total > len(found.values)}
        return call.era.finish(call, {"completion": values})
