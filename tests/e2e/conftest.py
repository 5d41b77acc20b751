"""One server over HTTP and one Messages API for all tests of the official client, and the four ways to connect."""

from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from mcp.client import Client

from tests.e2e.official_client import Connector, Era, Transport, served
from tests.support.messages_api import MessagesApi, messages_api

KEY = "sk-ant-end-to-end-0123456789"
WAYS: list[tuple[Transport, Era]] = [
    ("stdio", "handshake"),
    ("stdio", "stateless"),
    ("http", "handshake"),
    ("http", "stateless"),
]


@pytest.fixture(scope="package")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="package")
def claude_api() -> Iterator[MessagesApi]:
    with messages_api(KEY) as api:
        yield api


@pytest.fixture(scope="package")
def connectors(
    claude_api: MessagesApi, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Transport, Era], Connector]]:
    variables = {"TELEMETRYFLOW_MCP_CLAUDE_API_KEY": KEY, "TELEMETRYFLOW_MCP_CLAUDE_BASE_URL": claude_api.url}
    with served(tmp_path_factory.mktemp("root"), variables) as make:
        yield make


@pytest.fixture(scope="package", params=WAYS, ids="-".join)
def connector(request: pytest.FixtureRequest, connectors: Callable[[Transport, Era], Connector]) -> Connector:
    """Each way that the official client can connect."""
    return connectors(*request.param)


@pytest.fixture(scope="package")
async def client(connector: Connector) -> AsyncIterator[Client]:
    """A client that many tests share, without callbacks of its own."""
    async with connector.client() as connected:
        yield connected
