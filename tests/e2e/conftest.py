"""Fixtures for tests of real clients: a server on every network transport, a Messages API, connectors, a browser."""

from collections.abc import AsyncIterator, Iterator

import pytest
from mcp.client import Client
from playwright.sync_api import Browser, sync_playwright

from tests.e2e.chromium import chromium
from tests.e2e.deployment import Deployment, Era, Transport, deployed
from tests.e2e.official_client import Connector
from tests.support.messages_api import MessagesApi, messages_api

KEY = "sk-ant-end-to-end-0123456789"
TRANSPORTS: tuple[Transport, ...] = ("stdio", "http", "sse", "websocket")
ERAS: tuple[Era, ...] = ("handshake", "stateless")
WAYS = [(transport, era) for transport in TRANSPORTS for era in ERAS]


@pytest.fixture(scope="package")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="package")
def claude_api() -> Iterator[MessagesApi]:
    with messages_api(KEY) as api:
        yield api


@pytest.fixture(scope="package")
def deployment(claude_api: MessagesApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The server that all real clients share."""
    variables = {"TELEMETRYFLOW_MCP_CLAUDE_API_KEY": KEY, "TELEMETRYFLOW_MCP_CLAUDE_BASE_URL": claude_api.url}
    with deployed(tmp_path_factory.mktemp("deployment"), variables) as running:
        yield running


@pytest.fixture(scope="module", params=WAYS, ids="-".join)
def connector(request: pytest.FixtureRequest, deployment: Deployment) -> Connector:
    """A connector for each transport and era of the official client."""
    return Connector(deployment, *request.param)


@pytest.fixture(scope="module")  # no wider scope: its event loop would conflict with tests that run their own
async def client(connector: Connector) -> AsyncIterator[Client]:
    """A client that tests share, without callbacks."""
    async with connector.client() as connected:
        yield connected


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium, which the tests of a module share."""
    with sync_playwright() as playwright, chromium(playwright) as running:
        yield running
