"""Fixtures of the behaviour suite: shared servers, and conversations with them.

Servers start on first use and live until the end of the run. Conversations are shared per set of capabilities, and
their inboxes are emptied between tests. A test that breaks its conversation opens one of its own with `open_fresh`.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.behaviour.matrix import Place
from tests.support.balanced import REPLICAS
from tests.support.conversations import EVERYTHING, Conversation
from tests.support.http_client import HttpClient, http_client
from tests.support.processes import HttpServer
from tests.support.services import Services, services
from tests.support.streamable_http import Gates, gates_of, tools_server

PLUGINS = [f"tests.support.plugins.{name}" for name in ("held_calls", "answers", "questions", "reports", "catalogue")]
STATE_KEY = "a key that both configurations share"
LINE_LIMIT = 3 * 1024 * 1024
OpenFresh = Callable[..., AbstractContextManager[Conversation]]
FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Store on a test item whether its call failed, for its fixtures."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Against replicas, leave out what can only be shown with one process."""
    if REPLICAS == 1:
        return
    left_out = [item for item in items if item.get_closest_marker("one_process") is not None]
    items[:] = [item for item in items if item not in set(left_out)]
    config.hook.pytest_deselected(items=left_out)


def settings(roots: Path, **mcp: Any) -> dict[str, Any]:
    """Return the configuration that the suite runs with; `mcp` is added to that section."""
    return {
        "mcp": {"plugins": PLUGINS, "page_size": 5, "state_key": STATE_KEY, **mcp},
        "server": {"max_body_bytes": LINE_LIMIT},
        "files": {"roots": [str(roots)]},
        "security": {"anonymous": "all"},
        "logging": {"level": "info", "format": "json"},
    }


@pytest.fixture(scope="session")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory that the server may read; its parent has a file that the server must not read."""
    beside = tmp_path_factory.mktemp("files")
    (beside / "outside.txt").write_text("outside secret")
    inside = beside / "inside"
    inside.mkdir()
    (inside / "note.txt").write_text("inside äöü")
    (inside / "with space.txt").write_text("spaced")
    (inside / "100%25.txt").write_text("percent")
    (inside / "data.bin").write_bytes(bytes(range(256)))
    (inside / "leads-out.txt").symlink_to(beside / "outside.txt")
    return inside


@pytest.fixture(scope="session")
def usual(roots: Path) -> Iterator[Services]:
    """The servers that most tests talk to."""
    with services(settings(roots)) as running:
        yield running


@pytest.fixture(scope="session")
def hasty(roots: Path) -> Iterator[Services]:
    """Servers with short time limits, but otherwise configured like the usual ones."""
    limits = {"call_timeout_seconds": 1.0, "ask_timeout_seconds": 0.3, "request_state_seconds": 0.5}
    with services(settings(roots, **limits)) as running:
        yield running


def lend(
    lender: Services, place: Place, request: pytest.FixtureRequest, capabilities: Mapping[str, Any] | None = None
) -> Iterator[Conversation]:
    """Yield a shared conversation, and discard it if the test failed.

    Against replicas each test has one of its own: what earlier tests changed may be announced late.
    """
    if REPLICAS > 1:
        declared = EVERYTHING if capabilities is None else capabilities
        with lender.fresh(place.transport, place.revision, declared) as own:
            yield own
        return
    conversation = lender.shared(place.transport, place.revision, capabilities)
    yield conversation
    if request.node.stash.get(FAILED, False):
        lender.discard(conversation)


@pytest.fixture
def conversation(usual: Services, place: Place, request: pytest.FixtureRequest) -> Iterator[Conversation]:
    """A conversation with a client that can answer everything."""
    yield from lend(usual, place, request)


@pytest.fixture
def bare(usual: Services, place: Place, request: pytest.FixtureRequest) -> Iterator[Conversation]:
    """A conversation with a client that declares no capability."""
    yield from lend(usual, place, request, {})


@pytest.fixture
def pressed(hasty: Services, place: Place, request: pytest.FixtureRequest) -> Iterator[Conversation]:
    """A conversation with a server that has short time limits."""
    yield from lend(hasty, place, request)


@pytest.fixture
def open_fresh(usual: Services, place: Place) -> OpenFresh:
    """Open a conversation that no other test uses; takes the client's capabilities."""
    return partial(usual.fresh, place.transport, place.revision)


@pytest.fixture
def connect(usual: Services, place: Place) -> OpenFresh:
    """Open a connection without a handshake; takes the client's capabilities."""
    return partial(usual.connect, place.transport, place.revision)


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """A name that no other test uses."""
    name: str = request.node.nodeid
    return name


@pytest.fixture(scope="session")
def tools() -> Iterator[HttpServer]:
    """The server that most tests of Streamable HTTP talk to."""
    with tools_server() as running:
        yield running


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[HttpServer]:
    """A server with the tools of `streamable_http`: one of the module's own if it has SETTINGS."""
    own: Mapping[str, object] | None = getattr(request.module, "SETTINGS", None)
    if own is None:
        yield request.getfixturevalue("tools")
    else:
        with tools_server(**own) as running:
            yield running


@pytest.fixture(scope="module")
def client(server: HttpServer) -> Iterator[HttpClient]:
    """A client of Streamable HTTP."""
    with http_client(server.url) as connected:
        yield connected


@pytest.fixture(scope="module")
def gates(server: HttpServer) -> Iterator[Gates]:
    """The gates of the server's tools."""
    with gates_of(server) as found:
        yield found
