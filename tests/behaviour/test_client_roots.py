"""`files.roots: client`: files and commands are confined to the directories that the client lists, in both eras."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.conversations import Conversation, result_of
from tests.support.envelopes import LATEST_HANDSHAKE, STATELESS, JsonObject
from tests.support.services import Services, services
from tfo_mcp.bootstrap import served_roots
from tfo_mcp.infrastructure.config import ConfigurationError, Settings

DECLARES = {"roots": {"listChanged": True}}
CHANGED = "notifications/roots/list_changed"


class Client:
    """A client that lists directories whenever it is asked."""

    def __init__(self, conversation: Conversation, *directories: Path) -> None:
        self.conversation = conversation
        self.directories: Sequence[Path] = directories
        self.other_uris: Sequence[str] = ()
        self.asked = 0

    def answer(self) -> JsonObject:
        self.asked += 1
        uris = [*self.other_uris, *(directory.as_uri() for directory in self.directories)]
        return {"roots": [{"uri": uri} for uri in uris]}

    def call(self, tool: str, **arguments: Any) -> JsonObject:
        """Call a tool, answer the question which directories there are, if it comes, and return the result."""
        params: JsonObject = {"name": tool, "arguments": arguments}
        if self.conversation.stateless:
            result = self.conversation.result("tools/call", params)
            if result["resultType"] != "input_required":
                return result
            (key,) = result["inputRequests"]
            assert result["inputRequests"][key]["method"] == "roots/list"
            again = {"inputResponses": {key: self.answer()}, "requestState": result.get("requestState")}
            return self.conversation.result("tools/call", {**params, **{k: v for k, v in again.items() if v}})
        identifier = self.conversation.start("tools/call", params)
        while True:
            message = self.conversation.message()
            if message.get("id") == identifier and "method" not in message:
                return result_of(message)
            if message.get("method") == "roots/list":
                self.conversation.answer(message, self.answer())

    def text(self, tool: str, **arguments: Any) -> str:
        result = self.call(tool, **arguments)
        return str(result["content"][0]["text"])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("place")
    for name in ("one", "two", "outside"):
        (place / name).mkdir()
        (place / name / "name.txt").write_text(name)
    (place / "inside").mkdir()
    for name in ("a", "b"):
        (place / "inside" / name).mkdir()
        (place / "inside" / name / "name.txt").write_text(name)
    (place / "inside" / "a" / "out").symlink_to(place / "outside")
    return place


@pytest.fixture(scope="module")
def alone() -> Iterator[Services]:
    with services({"files": {"roots": "client"}}) as running:
        yield running


@pytest.fixture(scope="module")
def within(place: Path) -> Iterator[Services]:
    roots = [str(place / "inside"), "client"]
    with services({"files": {"roots": roots}, "security": {"anonymous": "all"}}) as running:
        yield running


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("revision", [LATEST_HANDSHAKE, STATELESS])
def test_the_owners_client_decides_which_directories_are_served(
    alone: Services, stack: ExitStack, place: Path, revision: str
) -> None:
    client = Client(stack.enter_context(alone.fresh("stdio", revision, DECLARES)), place / "one")
    assert client.text("read_file", path="name.txt") == "one"
    assert client.call("read_file", path=str(place / "two" / "name.txt"))["isError"]
    assert client.text("execute_command", command="cat name.txt").startswith("one\n[exit code 0]")
    assert client.call("write_file", path="new.txt", content="x")["structuredContent"]["size"] == 1
    assert (place / "one" / "new.txt").read_text() == "x"
    asked = client.asked
    if revision == LATEST_HANDSHAKE:
        assert asked == 1
    client.directories = (place / "two", place / "one")
    if revision == LATEST_HANDSHAKE:
        assert client.text("read_file", path="name.txt") == "one"
        client.conversation.notify(CHANGED)
    assert client.text("read_file", path="name.txt") == "two"
    assert client.text("read_file", path=str(place / "one" / "name.txt")) == "one"


@pytest.mark.parametrize("revision", [LATEST_HANDSHAKE, STATELESS])
@pytest.mark.parametrize("transport", ["http", "stdio"])
def test_a_client_is_never_served_more_than_the_configured_directories(
    within: Services, stack: ExitStack, place: Path, transport: str, revision: str
) -> None:
    client = Client(stack.enter_context(within.fresh(transport, revision, DECLARES)), place / "inside" / "a")
    assert client.text("read_file", path="name.txt") == "a"
    for path in (place / "inside" / "b" / "name.txt", place / "inside" / "a" / "out" / "name.txt", "../b/name.txt"):
        assert client.call("read_file", path=str(path))["isError"], path
    client.directories = (place,)
    client.conversation.notify(CHANGED)
    assert client.text("read_file", path="a/name.txt") == "a"
    assert client.call("read_file", path=str(place / "outside" / "name.txt"))["isError"]
    client.directories = (place / "outside", place / "inside" / "a" / "out", Path("/"), Path("/etc"))
    client.conversation.notify(CHANGED)
    listed = client.call("list_directory", path="/etc")
    assert listed["isError"]


def test_a_client_without_roots_is_served_the_configured_directories(
    within: Services, alone: Services, stack: ExitStack
) -> None:
    client = Client(stack.enter_context(within.fresh("stdio", LATEST_HANDSHAKE, {})))
    assert client.text("read_file", path="b/name.txt") == "b"
    client = Client(stack.enter_context(alone.fresh("stdio", LATEST_HANDSHAKE, {})))
    assert "the client declares none" in client.text("read_file", path="name.txt")


def test_directories_that_nobody_would_name_are_not_served(alone: Services, stack: ExitStack, place: Path) -> None:
    client = Client(stack.enter_context(alone.fresh("stdio", LATEST_HANDSHAKE, DECLARES)), Path("/"), Path.home())
    text = client.text("list_directory", path="/etc")
    assert "/ is " in text
    assert "home directory" in text
    client.directories = (place / "none",)
    client.conversation.notify(CHANGED)
    assert "does not exist" in client.text("list_directory")


@pytest.mark.parametrize("revision", [LATEST_HANDSHAKE, STATELESS])
@pytest.mark.parametrize("which", ["alone", "within"])
def test_an_entry_that_cannot_be_served_does_not_hide_the_others(
    request: pytest.FixtureRequest, stack: ExitStack, place: Path, which: str, revision: str
) -> None:
    running: Services = request.getfixturevalue(which)
    good = place / ("one" if which == "alone" else "inside/a")
    client = Client(stack.enter_context(running.fresh("stdio", revision, DECLARES)), good / "name.txt", good)
    client.other_uris = ("file://elsewhere/a", "file:///none", "file:///etc/passwd")
    assert client.text("read_file", path="name.txt") == good.name
    client.directories = (good / "name.txt",)
    client.conversation.notify(CHANGED)
    text = client.text("read_file", path="name.txt")
    assert "name.txt is not a directory" in text
    assert "names no host" in text


def test_files_that_only_a_client_lists_cannot_be_watched(alone: Services, stack: ExitStack, place: Path) -> None:
    conversation = stack.enter_context(alone.fresh("stdio", LATEST_HANDSHAKE, DECLARES))
    error = conversation.error("resources/subscribe", {"uri": (place / "one" / "name.txt").as_uri()})
    assert "configure one in files.roots" in error["message"]


def test_clients_on_the_network_do_not_decide_alone() -> None:
    settings = Settings.model_validate({"server": {"transport": "http"}, "files": {"roots": "client"}})
    with pytest.raises(ConfigurationError, match="any client on the network"):
        served_roots(settings)
