"""Popular clients perform the same steps, over all their transports and modes, and get the same results.

FastMCP, the official TypeScript client, the Inspector's command line, the bridge `mcp-remote` in front of the official
Python client, and the `websockets` package without any SDK. The official Python client has more tests of its own.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import pytest

from tests.e2e.deployment import Deployment, Transport
from tests.e2e.fastmcp_client import visit_with_fastmcp
from tests.e2e.javascript_clients import visit_with_inspector, visit_with_typescript
from tests.e2e.mcp_remote import visit_through_mcp_remote
from tests.e2e.visits import BUILT_IN, ERAS, MESSAGE, NOTES, NUMBER, Mode, Visit
from tests.e2e.websockets_client import visit_with_websockets

CLIENTS: Mapping[str, Callable[[Deployment, Transport, Mode], Visit]] = {
    "fastmcp": visit_with_fastmcp,
    "typescript": visit_with_typescript,
    "inspector": visit_with_inspector,
    "mcp-remote": visit_through_mcp_remote,
    "websockets": visit_with_websockets,
}
TRANSPORTS: tuple[Transport, ...] = ("stdio", "http", "sse")
DIRECT: tuple[Transport, ...] = ("stdio", "http")
BRIDGED: tuple[Transport, ...] = ("http", "sse")
LEGACY_OR_AUTO: tuple[Mode, ...] = ("legacy", "auto")


class Way(NamedTuple):
    """A client, its transport and how it negotiates the revision."""

    client: str
    transport: Transport
    mode: Mode


WAYS = [
    *(Way("fastmcp", transport, mode) for transport in DIRECT for mode in LEGACY_OR_AUTO),
    Way("fastmcp", "sse", "legacy"),  # over SSE it always performs the handshake
    *(Way("typescript", transport, mode) for transport in TRANSPORTS for mode in LEGACY_OR_AUTO),
    *(Way("inspector", transport, mode) for transport in TRANSPORTS for mode in ERAS),
    *(Way("mcp-remote", transport, mode) for transport in BRIDGED for mode in LEGACY_OR_AUTO),
    Way("websockets", "websocket", "legacy"),
    Way("websockets", "websocket", "modern"),
]
SHOWING_PROGRESS = [way for way in WAYS if way.client != "inspector"]


@pytest.fixture(scope="module")
def visits() -> dict[Way, Visit]:
    """The visits made so far."""
    return {}


@pytest.fixture
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


@pytest.fixture
def visit(way: Way, visits: dict[Way, Visit], deployment: Deployment) -> Visit:
    """The visit of this client, transport and mode, made once for all tests."""
    if way not in visits:
        visits[way] = CLIENTS[way.client](deployment, way.transport, way.mode)
    return visits[way]


every_way = pytest.mark.parametrize("way", WAYS, ids="-".join, indirect=True)


@every_way
def test_the_client_finds_the_era_that_it_looks_for(way: Way, visit: Visit) -> None:
    assert visit.era == ERAS[way.mode]


@every_way
def test_the_client_lists_the_tools(visit: Visit) -> None:
    assert visit.tools >= BUILT_IN | {"count_to"}


@every_way
def test_the_client_gets_the_results_of_tools(visit: Visit) -> None:
    assert visit.text("echoed") == MESSAGE
    assert visit.text("read") == NOTES
    (entry,) = visit.results["listed"]["structuredContent"]["entries"]
    assert entry["path"] == "notes.txt"
    assert not any(visit.results[name]["isError"] for name in ("echoed", "read", "listed"))


@every_way
def test_the_client_sees_that_a_tool_failed_and_why(visit: Visit) -> None:
    assert visit.results["failed"]["isError"]
    assert "none.txt: no such file" in visit.text("failed")


@pytest.mark.parametrize("way", SHOWING_PROGRESS, ids="-".join, indirect=True)
def test_the_client_sees_progress_while_a_tool_runs(visit: Visit) -> None:
    assert list(visit.progress) == [(step, NUMBER, f"step {step}") for step in range(1, NUMBER + 1)]
    assert visit.text("watched") == f"counted to {NUMBER}"
