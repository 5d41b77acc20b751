"""The built-in tools, resources and prompts on the real adapters, called in the way of the server's handlers."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.channels import NoTools, RecordingChannel
from tests.support.files import LIMIT, confined, rooted
from tests.support.messages_api import MessagesApi, messages_api
from tfo_mcp.application.bus import Bus
from tfo_mcp.application.call_policy import CallLimits, CallPolicy
from tfo_mcp.application.commands import SendMessage
from tfo_mcp.application.context import RequestContext
from tfo_mcp.application.handlers.conversations import ConversationHandler
from tfo_mcp.application.model_tools import ModelTools
from tfo_mcp.application.ports import LanguageModel, Services
from tfo_mcp.application.queries import GetConversation, GetHealth, GetModelUsage, Health
from tfo_mcp.application.token_quota import TokenQuota
from tfo_mcp.application.turns import TurnLimits, TurnRunner
from tfo_mcp.builtin import MODULES, loaded
from tfo_mcp.builtin.resources import roots_of
from tfo_mcp.domain.access import ADMIN, Caller
from tfo_mcp.domain.content import BlobContents, Text, TextContents
from tfo_mcp.domain.conversation import ConversationLimits
from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.domain.rates import Rate
from tfo_mcp.domain.resource import Resource, ResourceTemplate
from tfo_mcp.domain.tool import Tool, ToolResult
from tfo_mcp.infrastructure.claude import Claude, ClaudeOptions, Provider
from tfo_mcp.infrastructure.state.conversations import MemoryConversationStore
from tfo_mcp.infrastructure.state.events import MemoryEventBus
from tfo_mcp.infrastructure.state.rates import MemoryRateStore
from tfo_mcp.infrastructure.state.usage import MemoryUsageStore
from tfo_mcp.infrastructure.telemetry.noop import NoTelemetry
from tfo_mcp.plugins.definitions import Definition, definition_of
from tfo_mcp.plugins.loader import collect

KEY = "test-key"
HEALTH = Health("ok", "ready", (), 7, sessions=1, tools=8, resources=2, prompts=3, calls=5, failed_calls=1, workers=1)
DEFINITIONS = {definition.key: definition for definition in collect(loaded(MODULES))}
CONFIGURATION: Mapping[str, Any] = {"claude": {"api_key": "set"}}
UNLIMITED = CallPolicy(None, Rate(60, 60), CallLimits())


@dataclass
class Builtins:
    """The built-ins, and the directory, the Messages API and the request context that they use."""

    root: Path
    api: MessagesApi
    request: RequestContext
    channel: RecordingChannel
    definitions: Mapping[str, Definition]

    async def call(self, name: str, **arguments: Any) -> ToolResult:
        """Call a tool; an `OperationFailed` becomes an error result, as in the server."""
        tool = self.definitions[name]
        assert isinstance(tool, Tool)
        try:
            return await tool.run(arguments, self.request)
        except OperationFailed as failure:
            return ToolResult.error(failure.message)

    async def read(self, uri: str) -> TextContents | BlobContents:
        """Read a resource that has exactly one content item."""
        resource = self.definitions.get(uri)
        if isinstance(resource, Resource):
            (contents,) = await resource.read(uri, {}, self.request)
            return contents
        templates = [entry for entry in self.definitions.values() if isinstance(entry, ResourceTemplate)]
        found = [(entry, match) for entry in templates if (match := entry.match(uri)) is not None]
        template, variables = max(found, key=lambda match: match[0].specificity)
        (contents,) = await template.read(uri, variables, self.request)
        return contents


@asynccontextmanager
async def builtins(
    root: Path, *, result_bytes: int = 40_000, output_bytes: int = LIMIT, **limits: Any
) -> AsyncIterator[Builtins]:
    """Serve the built-ins over a directory, with a local Messages API."""
    files = rooted(root, **limits)
    runner = confined(files, output_bytes=output_bytes)
    with messages_api(KEY) as api:
        options = ClaudeOptions(model="claude-sonnet-5-5", max_tokens=9, timeout_seconds=5, max_retries=0)
        claude = Claude(Provider(api_key=KEY, base_url=api.url), options, NoTelemetry())
        bus, channel = Bus(), RecordingChannel()

        async def health(query: GetHealth) -> Health:
            return HEALTH

        bus.register(GetHealth, health)
        register_conversations(bus, claude, TokenQuota(MemoryRateStore(), MemoryEventBus(), UNLIMITED))
        services = Services(files, runner, lambda: CONFIGURATION, result_bytes)
        request = RequestContext(Caller("test", frozenset({ADMIN})), channel, bus, services, NoTools())
        roots = [definition_of(function) for function in roots_of(files.roots)]
        definitions = DEFINITIONS | {definition.key: definition for definition in roots}
        yield Builtins(root, api, request, channel, definitions)
        await claude.aclose()
    runner.close()
    files.close()


def register_conversations(bus: Bus, model: LanguageModel, quota: TokenQuota) -> None:
    """Register the handlers of conversations, which are kept in memory."""
    store, limits = MemoryConversationStore(60.0, 10), TurnLimits(ConversationLimits(10, 1000, 100_000), 4, 10.0)
    turns = TurnRunner(model, store, MemoryEventBus(), quota, ModelTools((), 10.0), limits)
    conversations = ConversationHandler(model, store, MemoryUsageStore(), quota, turns, limits)
    bus.register(SendMessage, conversations.send)
    bus.register(GetConversation, conversations.get)
    bus.register(GetModelUsage, conversations.usage)


def text_of(result: ToolResult) -> str:
    """Return the text of a result that consists of one text block."""
    (block,) = result.content
    assert isinstance(block, Text)
    return block.text
