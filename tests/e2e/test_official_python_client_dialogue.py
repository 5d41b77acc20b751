"""Progress, logs, questions and changes that reach the official Python client while a tool runs.

The tools are those of the plugin `dialogue_plugin`. The protocol tests check the bytes of each era; here only what the
client's user sees counts, and that is the same in both.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from mcp.client import Client
from mcp.client.session import ClientRequestContext
from mcp.client.subscriptions import (
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    ToolsListChanged,
)
from mcp.shared.exceptions import MCPError
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequestFormParams,
    ElicitRequestParams,
    ElicitResult,
    ListRootsResult,
    LoggingLevel,
    PromptListChangedNotification,
    ResourceListChangedNotification,
    ResourceUpdatedNotification,
    Root,
    TextContent,
    TextResourceContents,
    ToolListChangedNotification,
)
from pydantic import FileUrl

from tests.e2e.official_client import Connector, Heard, eventually, structured, text_of
from tests.support.deadlines import PATIENCE

LIST_CHANGES = {ToolListChangedNotification, PromptListChangedNotification, ResourceListChangedNotification}

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning"),  # the handshake era's methods
]


@asynccontextmanager
async def logging_client(connector: Connector, heard: Heard, level: LoggingLevel) -> AsyncIterator[Client]:
    """Yield a client that requests log messages of `level` and above, as its era does."""
    stateless = connector.era == "stateless"
    async with connector.client(heard, log_level=level if stateless else None) as client:
        if not stateless:
            await client.set_logging_level(level)
        yield client


async def test_progress_reaches_the_client_in_order(client: Client) -> None:
    heard = Heard()
    result = await client.call_tool("count_to", {"number": 3}, progress_callback=heard.on_progress)
    assert text_of(result) == "counted to 3"
    await heard.until(lambda: len(heard.progress) == 3)
    assert heard.progress == [(1.0, 3.0, "step 1"), (2.0, 3.0, "step 2"), (3.0, 3.0, "step 3")]


async def test_log_messages_reach_a_client_that_wants_their_level(connector: Connector) -> None:
    heard = Heard()
    async with logging_client(connector, heard, "info") as client:
        await client.call_tool("count_to", {"number": 2})
        await heard.until(lambda: len(heard.logs) == 2)
    assert [(log.level, log.logger, log.data) for log in heard.logs] == [
        ("info", "counting", {"step": 1}),
        ("info", "counting", {"step": 2}),
    ]


async def test_tools_ask_the_user_the_clients_model_and_where_it_works(connector: Connector) -> None:
    forms: list[ElicitRequestParams] = []
    samples: list[CreateMessageRequestParams] = []
    answers = [
        ElicitResult(action="accept", content={"name": "Ada"}),
        ElicitResult(action="decline"),
        ElicitResult(action="cancel"),
    ]

    async def on_elicit(_context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        forms.append(params)
        return answers[len(forms) - 1]

    async def on_sample(_context: ClientRequestContext, params: CreateMessageRequestParams) -> CreateMessageResult:
        samples.append(params)
        return CreateMessageResult(
            role="assistant", content=TextContent(type="text", text="42"), model="deep", stop_reason="endTurn"
        )

    async def on_list_roots(_context: ClientRequestContext) -> ListRootsResult:
        return ListRootsResult(roots=[Root(uri=FileUrl("file:///home/ada"), name="home")])

    async with connector.client(
        elicitation_callback=on_elicit, sampling_callback=on_sample, list_roots_callback=on_list_roots
    ) as client:
        said = [text_of(await client.call_tool("greet")) for _ in answers]
        assert said == ["Hello, Ada!", "No name: decline", "No name: cancel"]
        assert text_of(await client.call_tool("consult", {"question": "What is it?"})) == "deep says: 42"
        assert text_of(await client.call_tool("workplaces")) == "home: file:///home/ada"

    for form in forms:
        assert isinstance(form, ElicitRequestFormParams)
        assert form.message == "What is your name?"
        assert form.requested_schema["required"] == ["name"]
    (sample,) = samples
    (message,) = sample.messages
    assert (message.role, message.content) == ("user", TextContent(type="text", text="What is it?"))
    assert (sample.max_tokens, sample.system_prompt) == (50, "Be short.")


async def test_a_client_that_cannot_answer_is_told_what_it_lacks(connector: Connector, client: Client) -> None:
    for name, arguments, capability in (
        ("greet", {}, "elicitation"),
        ("consult", {"question": "?"}, "sampling"),
        ("workplaces", {}, "roots"),
    ):
        with pytest.raises(MCPError, match=capability) as refused:
            await client.call_tool(name, arguments)
        if connector.era == "stateless":
            assert refused.value.code == MISSING_REQUIRED_CLIENT_CAPABILITY


async def test_changed_lists_are_announced_and_show_what_is_new(connector: Connector) -> None:
    name = f"grown_{connector.transport}_{connector.era}"
    heard = Heard()
    async with connector.client(heard) as client:
        before = {tool.name for tool in (await client.list_tools()).tools}
        assert name not in before
        if connector.era == "stateless":
            async with client.listen(
                tools_list_changed=True, prompts_list_changed=True, resources_list_changed=True
            ) as changes:
                await client.call_tool("grow", {"name": name})
                wanted: set[ServerEvent] = {ToolsListChanged(), PromptsListChanged(), ResourcesListChanged()}
                with anyio.fail_after(PATIENCE):
                    while wanted:
                        wanted.discard(await anext(changes))
        else:
            await client.call_tool("grow", {"name": name})
            await heard.until(lambda: LIST_CHANGES.issubset(map(type, heard.messages)))

        assert name in {tool.name for tool in (await client.list_tools()).tools}
        assert name in {prompt.name for prompt in (await client.list_prompts()).prompts}
        assert f"grown://{name}" in {resource.uri for resource in (await client.list_resources()).resources}
        assert text_of(await client.call_tool(name)) == f"{name} is here"


async def test_writing_a_file_updates_those_who_subscribed_to_it(connector: Connector) -> None:
    folder = connector.folder()
    path = f"{folder}/watched.txt"
    relative, absolute = f"file:///{path}", (connector.root / path).as_uri()
    heard = Heard()

    def updated() -> list[str]:
        return [m.params.uri for m in heard.messages if isinstance(m, ResourceUpdatedNotification)]

    async with connector.client(heard) as client:
        await write(client, path, "one")
        for uri in (relative, absolute):
            assert await read(client, uri) == "one"
        if connector.era == "stateless":
            async with client.listen(resource_subscriptions=[relative, absolute]) as changes:
                await write(client, f"{folder}/other.txt", "unrelated")
                await write(client, path, "two")
                with anyio.fail_after(PATIENCE):
                    assert {await anext(changes), await anext(changes)} == {
                        ResourceUpdated(uri=relative),
                        ResourceUpdated(uri=absolute),
                    }
                assert await read(client, absolute) == "two"
        else:
            for uri in (relative, absolute):
                await client.subscribe_resource(uri)
            await write(client, f"{folder}/other.txt", "unrelated")
            await write(client, path, "two")
            await heard.until(lambda: len(updated()) >= 2)
            assert sorted(updated()) == sorted([relative, absolute])
            await client.unsubscribe_resource(relative)
            await write(client, path, "three")
            await heard.until(lambda: len(updated()) >= 3)
            assert updated()[2:] == [absolute]


async def test_a_cancelled_call_stops_and_blocks_nothing_meanwhile(connector: Connector, client: Client) -> None:
    folder = connector.folder()
    place = connector.root / folder
    async with anyio.create_task_group() as calls:
        calls.start_soon(client.call_tool, "wait_here", {"folder": folder})
        await eventually((place / "started").exists, "the tool has started")
        assert text_of(await client.call_tool("echo", {"message": "meanwhile"})) == "meanwhile"
        calls.cancel_scope.cancel()
    await eventually((place / "cancelled").exists, "the tool was cancelled")
    assert text_of(await client.call_tool("echo", {"message": "after"})) == "after"


async def test_many_calls_at_once_get_each_its_own_answer(client: Client) -> None:
    answers: dict[int, str] = {}

    async def ask(number: int) -> None:
        answers[number] = text_of(await client.call_tool("echo", {"message": str(number)}))

    async with anyio.create_task_group() as calls:
        for number in range(50):
            calls.start_soon(ask, number)
    assert answers == {number: str(number) for number in range(50)}


async def write(client: Client, path: str, content: str) -> dict[str, Any]:
    return structured(await client.call_tool("write_file", {"path": path, "content": content}))


async def read(client: Client, uri: str) -> str:
    (contents,) = (await client.read_resource(uri)).contents
    assert isinstance(contents, TextResourceContents)
    return contents.text
