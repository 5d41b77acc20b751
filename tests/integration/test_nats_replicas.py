"""Servers that share an event log in NATS and no Redis: changes and reloads of one reach the clients of the others."""

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.conversations import Conversation
from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import STATELESS
from tests.support.http_conversation import HttpConversation
from tests.support.nats_server import NatsServer
from tests.support.processes import PROJECT, HttpServer, free_port, http_server
from tests.support.redis_server import RedisServer, redis_server
from tests.support.replicas import await_readiness, readiness
from tests.support.workers import await_workers

TOOLS_CHANGED = "notifications/tools/list_changed"
UPDATED = "notifications/resources/updated"
ACKNOWLEDGED = "notifications/subscriptions/acknowledged"


@dataclass
class Replica:
    """A server with a configuration of its own."""

    folder: Path
    url: str
    server: HttpServer | None = None

    def configure(self, calls_per_minute: int, **sections: object) -> Path:
        """Write the configuration."""
        path = self.folder / "tfo-mcp.yaml"
        whole = {
            "events": {"url": self.url},
            "mcp": {"plugins": ["tests.support.plugins.http_tools"]},
            "security": {"anonymous": "all"},
            "limits": {"calls_per_minute": calls_per_minute},
            **sections,
        }
        path.write_text(json.dumps(whole))
        return path

    def limit(self) -> int:
        """Return the limit of calls in effect."""
        assert self.server is not None
        with closing(HttpConversation(self.server, STATELESS)) as conversation:
            (shown,) = conversation.result("resources/read", {"uri": "config://server"})["contents"]
        return int(json.loads(shown["text"])["limits"]["calls_per_minute"])

    def hang_up(self) -> None:
        """Ask the server to reload."""
        assert self.server is not None
        self.server.child.process.send_signal(signal.SIGHUP)


@pytest.fixture
def nats() -> Iterator[NatsServer]:
    with TemporaryDirectory() as directory:
        server = NatsServer(free_port(), Path(directory))
        with server.running():
            yield server


def started(stack: ExitStack, folder: Path, url: str, name: str, **sections: object) -> Replica:
    """Start a replica."""
    replica = Replica(folder / name, url)
    replica.folder.mkdir()
    variables = {"PYTHONPATH": str(PROJECT), "XDG_STATE_HOME": str(replica.folder / "state")}
    replica.server = stack.enter_context(http_server(replica.configure(100, **sections), variables=variables))
    return replica


@pytest.fixture
def pair(nats: NatsServer, tmp_path: Path) -> Iterator[tuple[Replica, Replica]]:
    with ExitStack() as stack:
        one, other = (started(stack, tmp_path, nats.url, name) for name in ("one", "other"))
        yield one, other


def listening(stack: ExitStack, replica: Replica) -> Conversation:
    """Return a client of a replica that listens to changes."""
    assert replica.server is not None
    conversation = stack.enter_context(closing(HttpConversation(replica.server, STATELESS)))
    wanted = {"toolsListChanged": True, "resourceSubscriptions": ["memo://one"]}
    conversation.start("subscriptions/listen", {"notifications": wanted})
    conversation.notification(ACKNOWLEDGED)
    return conversation


def test_changes_of_one_server_reach_the_clients_of_the_other(pair: tuple[Replica, Replica]) -> None:
    with ExitStack() as stack:
        one, other = (listening(stack, replica) for replica in pair)
        for there, here in ((one, other), (other, one)):
            there.text("change_tools")
            there.text("touch_memo", {"memo": "one"})
            for each in (here, there):
                each.notification(TOOLS_CHANGED)
                assert each.notification(UPDATED)["params"]["uri"] == "memo://one"


def test_changes_arrive_when_nats_has_returned(pair: tuple[Replica, Replica], nats: NatsServer) -> None:
    with ExitStack() as stack:
        one, other = (listening(stack, replica) for replica in pair)
        nats.kill()
        for replica in pair:
            assert replica.server is not None
            await_readiness(replica.server, "degraded")
            assert readiness(replica.server)[1] == ["nats"]
        one.text("touch_memo", {"memo": "one"})
        one.notification(UPDATED)
        stack.enter_context(nats.running())
        other.notification(UPDATED, 2 * PATIENCE)
        for replica in pair:
            assert replica.server is not None
            await_readiness(replica.server)
        other.text("change_tools")
        one.notification(TOOLS_CHANGED)


def test_a_reload_of_one_server_reaches_the_other_once(pair: tuple[Replica, Replica]) -> None:
    for first, second in (pair, pair[::-1]):
        limit = first.limit() + 1
        for replica in pair:
            replica.configure(limit)
        first.hang_up()
        wait_until(lambda: second.limit() == limit, "the other one has reloaded")  # noqa: B023 - called at once
        assert first.limit() == limit
    one, other = pair
    for replica in pair:
        replica.configure(50)
    one.configure(-1)
    one.hang_up()
    wait_until(lambda: "the settings were not reloaded" in log(one), "it has refused its settings")
    other.hang_up()
    wait_until(lambda: other.limit() == 50, "the reload of its own")
    wait_until(lambda: log(one).count("the settings were not reloaded") == 2, "the other one has asked")
    assert [log(replica).count("the settings were reloaded") for replica in pair] == [2, 3]


def log(replica: Replica) -> str:
    assert replica.server is not None
    return replica.server.child.stderr()


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


def test_a_reload_reaches_all_workers_of_the_other_server(redis: RedisServer, tmp_path: Path) -> None:
    shared = {"state": {"url": redis.url}, "mcp": {"state_key": "k" * 40}, "events": {"url": "memory:"}}
    with ExitStack() as stack:
        one = started(stack, tmp_path, "", "one", **shared)
        workers = {"workers": 2}
        other = started(stack, tmp_path, "", "other", **shared, server=workers)
        assert other.server is not None
        await_workers(other.server)
        for first, second in ((one, other), (other, one)):
            limit = first.limit() + 1
            one.configure(limit, **shared)
            other.configure(limit, **shared, server=workers)
            first.hang_up()
            wait_until(lambda: {second.limit() for _ in range(20)} == {limit}, "all have reloaded")  # noqa: B023
        wait_until(lambda: log(other).count("the settings were reloaded") == 4, "each worker has reloaded twice")
        assert {replica.limit() for replica in (one, other)} == {limit}
        assert log(one).count("the settings were reloaded") == 2
