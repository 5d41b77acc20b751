"""The plugins that docs/plugins.md writes for FastMCP as well: both give the same results, and differ as it says."""

import importlib.util
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any, Literal

import pytest
from fastmcp import Client, FastMCP
from fastmcp.client.elicitation import ElicitResult
from fastmcp.exceptions import ToolError

from tests.support.processes import LOOPBACK, PROJECT
from tfo_mcp.testing import PluginClient, client

pytestmark = pytest.mark.anyio
EXAMPLES = PROJECT / "docs" / "examples"
NAMES = ("trips", "rates", "notes")
Action = Literal["accept", "decline"]
ANSWER = {"destination": "Rome", "days": 4, "travel": "plane"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Rates(BaseHTTPRequestHandler):
    """Knows the rate of one currency."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/usd" else 404)
        self.send_header("content-length", "4")
        self.end_headers()
        self.wfile.write(b"0.92")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def rates() -> Iterator[str]:
    with ThreadingHTTPServer((LOOPBACK, 0), Rates) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://{LOOPBACK}:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def loaded(path: Path, rates: str = "") -> ModuleType:
    """Import an example; the service that it asks is the one on the loopback interface."""
    name = f"side_by_side_{path.parent.name}_{path.stem}"
    spec = importlib.util.spec_from_loader(name, loader=None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    source = path.read_text(encoding="utf-8").replace("https://rates.example.com", rates)
    exec(compile(source, str(path), "exec"), module.__dict__)
    return module


@asynccontextmanager
async def ours(name: str, rates: str = "", answer: dict[str, Any] | None = None) -> AsyncIterator[PluginClient]:
    module = loaded(EXAMPLES / f"{name}.py", rates)
    async with client(module, answers={"answer": answer} if answer else None) as connected:
        yield connected


@asynccontextmanager
async def theirs(name: str, rates: str = "", action: Action = "accept", mode: str = "legacy") -> AsyncIterator[Any]:
    async def answered(_message: str, form: Any, *_: object) -> Any:
        return ElicitResult(action=action, content=form(**ANSWER) if action == "accept" else None)

    server: FastMCP[Any] = loaded(EXAMPLES / "fastmcp" / f"{name}.py", rates).mcp
    async with Client(server, elicitation_handler=answered, mode=mode) as connected:
        yield connected


@pytest.mark.parametrize("action", ["accept", "decline"])
async def test_a_form_is_answered_or_declined(action: Action) -> None:
    answer = {"action": action, "content": ANSWER} if action == "accept" else {"action": action}
    async with ours("trips", answer=answer) as own, theirs("trips", action=action) as other:
        result, expected = await own.call("plan_trip"), await other.call_tool("plan_trip", {})
    assert result.text == expected.content[0].text
    assert ("4 days in Rome by plane" in result.text) == (action == "accept")


async def test_the_form_of_fastmcp_needs_a_handshake() -> None:
    async with theirs("trips", mode="auto") as other:
        with pytest.raises(ToolError, match="unavailable on 2026-07-28"):
            await other.call_tool("plan_trip", {})


async def test_a_client_that_lives_as_long_as_the_server_is_used(rates: str) -> None:
    async with ours("rates", rates) as own, theirs("rates", rates) as other:
        for currency, expected in (("usd", "0.92"), ("xyz", "There is no rate for xyz")):
            result = await own.call("exchange_rate", currency=currency)
            answered = await other.call_tool("exchange_rate", {"currency": currency}, raise_on_error=False)
            assert result.text == answered.content[0].text == expected
            assert result.is_error == answered.is_error == (currency == "xyz")


async def test_resources_are_text_and_pictures() -> None:
    async with ours("notes") as own, theirs("notes") as other:
        for uri in ("notes://motd", "notes://pages/2"):
            result = (await own.request("resources/read", {"uri": uri}))["contents"]
            answered = [part.model_dump(by_alias=True) for part in await other.read_resource(uri)]
            for field in ("text", "blob", "mimeType"):
                assert [part.get(field) for part in result] == [part.get(field) for part in answered]


async def test_fastmcp_treats_mistakes_as_the_document_says() -> None:
    server: FastMCP[Any] = FastMCP("mistakes")

    def method(self: Any, a: int) -> int:
        return a

    with pytest.raises(TypeError, match="self"):
        server.tool(method)

    @server.tool
    def limited(limit: int = "x") -> str:  # type: ignore[assignment]
        return repr(limit)

    @server.tool(name="doubled")
    def first() -> str:
        return "first"

    @server.tool(name="doubled")
    def second() -> str:
        return "second"

    @server.tool
    def failing() -> str:
        raise KeyError("a detail")

    said: dict[str, tuple[bool, str]] = {}
    async with Client(server) as connected:
        for name, arguments in (("limited", {}), ("doubled", {}), ("failing", {}), ("limited", {"unknown": 1})):
            result = await connected.call_tool(name, arguments, raise_on_error=False)
            said[f"{name} {len(arguments)}"] = result.is_error, result.content[0].text
    assert said["limited 0"] == (False, "'x'")
    assert said["doubled 0"] == (False, "second")
    assert said["failing 0"] == (True, "Error calling tool 'failing': 'a detail'")
    assert said["limited 1"][0]
    assert "Unexpected keyword argument" in said["limited 1"][1]


def test_the_document_counts_their_lines() -> None:
    document = (PROJECT / "docs" / "plugins.md").read_text(encoding="utf-8")
    for name in NAMES:
        lines = [
            sum(bool(line.strip()) for line in (folder / f"{name}.py").read_text(encoding="utf-8").splitlines())
            for folder in (EXAMPLES, EXAMPLES / "fastmcp")
        ]
        row = re.search(rf"^\| [^|]*\(`{name}`\) \| (\d+) \| (\d+) \|$", document, flags=re.MULTILINE)
        assert row is not None
        assert [int(row[1]), int(row[2])] == lines, name
