"""Claude uses tools of the server: the official Python client asks its user for approval, in both eras.

The Messages API is local, and the client is the one that hosts use. What the model may not do is in
`tests/security/test_claude_limits.py`.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp.client import Client
from mcp.client.session import ClientRequestContext
from mcp_types import (
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequestFormParams,
    ElicitRequestParams,
    ElicitResult,
    TextContent,
)

from tests.e2e.deployment import Deployment, Era, Transport, deployed
from tests.e2e.official_client import Connector, Heard, structured, text_of
from tests.support.messages_api import MessagesApi
from tests.support.messages_format import blocks_of

TRANSPORTS: tuple[Transport, ...] = ("stdio", "http", "websocket")
ERAS: tuple[Era, ...] = ("handshake", "stateless")
ACCEPT = ElicitResult(action="accept", content={"allow": True})
REFUSALS: dict[Transport, ElicitResult] = {
    "stdio": ElicitResult(action="decline"),
    "http": ElicitResult(action="cancel"),
    "websocket": ElicitResult(action="accept", content={"allow": False}),
}

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning"),  # the handshake era's methods
]


@pytest.fixture(scope="module", params=[(way, era) for way in TRANSPORTS for era in ERAS], ids="-".join)
def connector(request: pytest.FixtureRequest, deployment: Deployment) -> Connector:
    """A connector for each transport and era."""
    return Connector(deployment, *request.param)


@pytest.fixture(autouse=True)
def _forget(claude_api: MessagesApi) -> None:
    claude_api.forget()


@asynccontextmanager
async def answering(connector: Connector, *answers: ElicitResult) -> AsyncIterator[tuple[Client, list[str]]]:
    """Yield a client whose user gives these answers, and the questions that were asked."""
    asked: list[str] = []
    left = iter(answers)

    async def answer(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        assert isinstance(params, ElicitRequestFormParams)
        asked.append(params.message)
        return next(left)

    async with connector.client(elicitation_callback=answer) as client:
        yield client, asked


def results_in(api: MessagesApi, number: int) -> dict[str, dict[str, Any]]:
    """Return the tool results in the last message of a request, by the id of the tool use."""
    last = blocks_of(api.requests[number].body["messages"][-1])
    return {str(block["tool_use_id"]): dict(block) for block in last if block["type"] == "tool_result"}


async def test_allowed_tools_run_at_once_and_their_results_go_back(
    connector: Connector, claude_api: MessagesApi
) -> None:
    folder, heard = connector.folder(), Heard()
    source = connector.root / folder / "in.txt"
    source.write_text("forty-two")
    read, one, other = claude_api.use(
        ("read_file", {"path": str(source)}),
        ("write_file", {"path": f"{connector.root}/{folder}/a.txt", "content": "A"}),
        ("write_file", {"path": f"{connector.root}/{folder}/b.txt", "content": "B"}),
    )
    claude_api.answer("All done")
    async with answering(connector, ACCEPT, ACCEPT) as (client, asked):
        result = structured(
            await client.call_tool(
                "claude_conversation",
                {"message": "Copy it", "tools": ["read_file", "write_file"]},
                progress_callback=heard.on_progress,
            )
        )
    assert (result["text"], result["stop_reason"]) == ("All done", "end_turn")
    assert [(connector.root / folder / name).read_text() for name in ("a.txt", "b.txt")] == ["A", "B"]
    assert len(asked) == 2
    assert all("write_file" in question and folder in question for question in asked)
    found = results_in(claude_api, 1)
    assert found.keys() == {read, one, other}
    assert not any(block["is_error"] for block in found.values())
    assert "forty-two" in found[read]["content"][0]["text"]
    assert len(claude_api.requests) == 2  # no reply was asked for twice
    assert "".join(message or "" for _, _, message in heard.progress).endswith("All done")


async def test_a_refusal_ends_the_call_and_the_conversation_goes_on(
    connector: Connector, claude_api: MessagesApi
) -> None:
    folder, refusal = connector.folder(), REFUSALS[connector.transport]
    first, second = (
        ("write_file", {"path": f"{connector.root}/{folder}/{name}.txt", "content": name}) for name in "ab"
    )
    uses = claude_api.use(first, second, text="May I?")
    async with answering(connector, ACCEPT, refusal) as (client, asked):
        result = structured(
            await client.call_tool("claude_conversation", {"message": "Write", "tools": ["write_file"]})
        )
        assert (result["text"], result["stop_reason"]) == ("May I?", "approval_refused")
        assert len(asked) == 2
        assert list((connector.root / folder).iterdir()) == []
        claude_api.answer("Fine, I will not")
        again = {"message": "Leave it", "conversation_id": result["conversation_id"]}
        result = structured(await client.call_tool("claude_conversation", again))
    assert result["text"] == "Fine, I will not"
    found = results_in(claude_api, 1)
    assert found.keys() == set(uses)
    assert all(block["is_error"] and "refused" in block["content"][0]["text"] for block in found.values())


async def test_a_client_that_cannot_ask_lets_no_tool_write(
    client: Client, connector: Connector, claude_api: MessagesApi
) -> None:
    folder = connector.folder()
    (use,) = claude_api.use(("write_file", {"path": f"{connector.root}/{folder}/a.txt", "content": "A"}))
    claude_api.answer("Then not")
    call = {"message": "Write", "tools": ["write_file"]}
    assert structured(await client.call_tool("claude_conversation", call))["text"] == "Then not"
    assert "claude.unattended_tools" in results_in(claude_api, 1)[use]["content"][0]["text"]
    assert list((connector.root / folder).iterdir()) == []


async def test_the_replies_of_a_call_are_limited(client: Client, connector: Connector, claude_api: MessagesApi) -> None:
    for _ in range(2):
        claude_api.use(("list_directory", {"path": str(connector.root)}))
    call = {"message": "Look", "tools": ["list_directory"], "max_turns": 2}
    result = structured(await client.call_tool("claude_conversation", call))
    assert result["stop_reason"] == "max_turns"
    assert [request.body.get("tool_choice") for request in claude_api.requests] == [None, {"type": "none"}]


async def test_conversations_are_read_as_resources_and_listed_to_their_owner(
    client: Client, connector: Connector, claude_api: MessagesApi
) -> None:
    first = structured(await client.call_tool("claude_conversation", {"message": "What is the time?"}))
    uri = f"conversation://{first['conversation_id']}"
    listed = {str(resource.uri): resource.name for resource in (await client.list_resources()).resources}
    assert listed.get(uri) == ("What is the time?" if connector.transport == "stdio" else None)  # else anonymous
    (contents,) = (await client.read_resource(uri)).contents
    assert "You said: What is the time?" in getattr(contents, "text", "")


@pytest.fixture(scope="module")
def unconfigured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A server without an API key."""
    with deployed(tmp_path_factory.mktemp("unconfigured"), {"ANTHROPIC_API_KEY": ""}) as running:
        yield running


async def test_without_a_key_the_clients_model_replies(connector: Connector, unconfigured: Deployment) -> None:
    asked: list[CreateMessageRequestParams] = []

    async def reply(context: ClientRequestContext, params: CreateMessageRequestParams) -> CreateMessageResult:
        asked.append(params)
        said = TextContent(type="text", text=f"Reply {len(asked)}")
        return CreateMessageResult(role="assistant", content=said, model="the client's", stop_reason="endTurn")

    place = Connector(unconfigured, connector.transport, connector.era)
    async with place.client(sampling_callback=reply) as client:
        first = structured(await client.call_tool("claude_conversation", {"message": "One", "system_prompt": "Brief"}))
        again = {"message": "Two", "conversation_id": first["conversation_id"]}
        second = structured(await client.call_tool("claude_conversation", again))
    assert (first["text"], first["model"], first["stop_reason"]) == ("Reply 1", "the client's", "end_turn")
    assert (second["text"], second["cost_usd"]) == ("Reply 2", None)
    assert [len(params.messages) for params in asked] == [1, 3]
    assert asked[1].system_prompt == "Brief"


async def test_without_a_key_and_sampling_the_result_says_what_to_configure(
    connector: Connector, unconfigured: Deployment
) -> None:
    async with Connector(unconfigured, connector.transport, connector.era).client() as client:
        result = await client.call_tool("claude_conversation", {"message": "Hi"})
    assert result.is_error
    assert "ANTHROPIC_API_KEY" in text_of(result)
    assert "sampling" in text_of(result)
