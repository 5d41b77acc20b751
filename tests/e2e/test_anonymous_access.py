"""Access of the official Python client over HTTP without credentials: `security.anonymous` read, none, or unset.

Without an API key, claude_conversation says what to configure. The owner of the process, on stdio, has full access.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from tests.e2e.deployment import Era
from tests.e2e.official_client import MODES, loopback_client, text_of
from tests.support.deadlines import PATIENCE
from tests.support.envelopes import LATEST_HANDSHAKE, initialize_params, request, stateless_headers, stateless_params
from tests.support.processes import HttpServer, command, environment, http_server

READ_ONLY = {"echo", "file_info", "list_directory", "read_file", "search_files", "system_info"}
REFUSED: dict[str, dict[str, Any]] = {
    "write_file": {"path": "made.txt", "content": "x"},
    "edit_file": {"path": "notes.txt", "edits": [{"old_text": "read", "new_text": "x"}]},
    "move_file": {"source": "notes.txt", "destination": "made.txt"},
    "delete_file": {"path": "notes.txt"},
    "execute_command": {"command": "touch made.txt"},
    "claude_conversation": {"message": "hi"},
}
ERAS: tuple[Era, ...] = ("handshake", "stateless")

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def connected(server: HttpServer, era: Era) -> AsyncIterator[Client]:
    async with (
        loopback_client() as http_client,
        Client(
            streamable_http_client(server.url, http_client=http_client),
            mode=MODES[era],
            read_timeout_seconds=PATIENCE,
        ) as client,
    ):
        yield client


async def test_by_default_only_tools_that_read_are_listed_and_callable(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("read me", encoding="utf-8")
    with http_server(directory=tmp_path) as server:
        for era in ERAS:
            async with connected(server, era) as client:
                assert {tool.name for tool in (await client.list_tools()).tools} == READ_ONLY
                assert text_of(await client.call_tool("read_file", {"path": "notes.txt"})) == "read me"
                for name, arguments in REFUSED.items():
                    with pytest.raises(MCPError, match=name):
                        await client.call_tool(name, arguments)
    assert not (tmp_path / "made.txt").exists()
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "read me"


async def test_with_none_every_request_is_unauthorized() -> None:
    with http_server({"security": {"anonymous": "none"}}) as server:
        for era in ERAS:
            with pytest.raises(ExceptionGroup) as refused:
                async with connected(server, era):
                    pass
            assert refused.group_contains(MCPError)
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as raw:
            accept = {"Accept": "application/json, text/event-stream"}
            initialize = request(1, "initialize", initialize_params(LATEST_HANDSHAKE))
            listing = request(1, "tools/list", stateless_params())
            answers = [
                await raw.post(server.url, json=initialize, headers=accept),
                await raw.post(server.url, json=listing, headers=accept | stateless_headers(listing)),
            ]
    assert [answer.status_code for answer in answers] == [401, 401]
    for answer in answers:
        assert "www-authenticate" in answer.headers
        assert answer.json()["error"]["message"]


async def test_without_an_api_key_claude_conversation_says_what_to_configure(tmp_path: Path) -> None:
    executable, *arguments = command()
    parameters = StdioServerParameters(command=executable, args=[*arguments, "serve"], env=environment(), cwd=tmp_path)
    with (tmp_path / "stderr").open("w", encoding="utf-8") as errors, anyio.fail_after(2 * PATIENCE):
        async with Client(stdio_client(parameters, errlog=errors)) as client:
            assert "claude_conversation" in {tool.name for tool in (await client.list_tools()).tools}
            result = await client.call_tool("claude_conversation", {"message": "hi"})
    assert result.is_error
    assert "ANTHROPIC_API_KEY" in text_of(result)
    assert "claude.api_key" in text_of(result)
