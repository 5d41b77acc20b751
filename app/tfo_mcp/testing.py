"""A client for the tests of plugins: calls their tools, resources and prompts in memory, without a server process.

Everything between the protocol and the function runs as in a server: schemas, scopes, conversions, questions, errors.
The root directory is a temporary one unless a test names another.
"""

import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import structlog

from tfo_mcp.bootstrap import Server, Settings, build, server_version
from tfo_mcp.presentation.protocol.call import Facts, Outlet, Transport
from tfo_mcp.presentation.protocol.faults import Fault
from tfo_mcp.presentation.protocol.metadata import CLIENT_CAPABILITIES, CLIENT_INFO, PROTOCOL_VERSION
from tfo_mcp.presentation.protocol.revisions import LATEST_STATELESS, Revision
from tfo_mcp.presentation.server import OWNER
from tfo_mcp.value_objects import value_object

__all__ = ["CallError", "CallResult", "PluginClient", "client"]

_TRANSPORT = Transport("testing", "pipe")
_CAPABILITIES: Mapping[str, Any] = {"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}}
_MOST_ROUNDS = 20


class CallError(Exception):
    """The request ended with a protocol error; `code` and `data` are those of the error."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(str(error.get("message")))
        self.code = error.get("code")
        self.data = error.get("data")


@value_object
class CallResult:
    """The result of a tool as clients receive it.

    `content` are the blocks and `structured` is the structured content, as JSON; `is_error` says that the tool failed.
    """

    content: tuple[Mapping[str, Any], ...]
    structured: Any
    is_error: bool

    @property
    def text(self) -> str:
        """The text of all text blocks."""
        return "".join(block["text"] for block in self.content if block["type"] == "text")


class PluginClient:
    """Calls the plugins of one server in memory.

    `answers` are the responses to questions by their keys, as a client sends them: for a form
    `{"action": "accept", "content": {...}}`. `extensions` are those that it declares, with their settings.
    """

    def __init__(
        self,
        server: Server,
        answers: Mapping[str, Mapping[str, Any]],
        extensions: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self._server = server
        self._answers = answers
        self._capabilities = {**_CAPABILITIES, "extensions": extensions or {}}
        self._sent = 0

    async def tools(self) -> list[Mapping[str, Any]]:
        """Return the definitions of all tools, the built-in ones included."""
        return await self._listed("tools/list", "tools")

    async def resources(self) -> list[Mapping[str, Any]]:
        """Return the definitions of all resources, the built-in ones included."""
        return await self._listed("resources/list", "resources")

    async def prompts(self) -> list[Mapping[str, Any]]:
        """Return the definitions of all prompts, the built-in ones included."""
        return await self._listed("prompts/list", "prompts")

    async def call(self, tool: str, /, **arguments: Any) -> CallResult:
        """Call a tool and return its result; a failure of the tool is a result with `is_error`.

        Raises:
            CallError: there is no such tool, or it failed unexpectedly.
        """
        result = await self.request("tools/call", {"name": tool, "arguments": arguments})
        blocks = tuple(result.get("content", ()))
        return CallResult(blocks, result.get("structuredContent"), bool(result.get("isError")))

    async def read(self, uri: str) -> str:
        """Return the text of a resource.

        Raises:
            CallError: there is no such resource, or it cannot be read.
        """
        result = await self.request("resources/read", {"uri": uri})
        return "".join(part.get("text", "") for part in result["contents"])

    async def prompt(self, name: str, /, **arguments: str) -> list[Mapping[str, Any]]:
        """Return the messages of a prompt.

        Raises:
            CallError: there is no such prompt, or an argument is wrong.
        """
        result = await self.request("prompts/get", {"name": name, "arguments": arguments})
        messages: list[Mapping[str, Any]] = result["messages"]
        return messages

    async def request(self, method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send a request of the latest revision, answer its questions, and return its result.

        Raises:
            CallError: it ended with a protocol error.
            LookupError: it asks a question that `answers` does not have.
        """
        more: dict[str, Any] = {}
        for _ in range(_MOST_ROUNDS):
            result = await self._exchange(method, {**params, **more})
            if result.get("resultType") != "input_required":
                return result
            more = {"inputResponses": {key: self._answer(key) for key in result.get("inputRequests", {})}}
            if "requestState" in result:
                more["requestState"] = result["requestState"]
        raise LookupError(f"{method} asked more than {_MOST_ROUNDS} times")

    def _answer(self, key: str) -> Mapping[str, Any]:
        if key not in self._answers:
            raise LookupError(f"The function asks {key!r}: give client(..., answers={{{key!r}: ...}})")
        return self._answers[key]

    async def _exchange(self, method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        self._sent += 1
        metadata = {
            PROTOCOL_VERSION: LATEST_STATELESS.version,
            CLIENT_INFO: {"name": "tfo-mcp-testing", "version": server_version()},
            CLIENT_CAPABILITIES: self._capabilities,
        }
        message = {"jsonrpc": "2.0", "id": self._sent, "method": method, "params": {**params, "_meta": metadata}}
        outlet = _Reply()
        await self._server.peers.connect().receive(json.dumps(message).encode(), outlet, Facts(_TRANSPORT, OWNER))
        answer = json.loads(outlet.frame)
        if "error" in answer:
            raise CallError(answer["error"])
        result: Mapping[str, Any] = answer["result"]
        return result

    async def _listed(self, method: str, field: str) -> list[Mapping[str, Any]]:
        entries: list[Mapping[str, Any]] = []
        params: dict[str, Any] = {}
        while True:
            result = await self.request(method, params)
            entries += result[field]
            if result.get("nextCursor") is None:
                return entries
            params = {"cursor": result["nextCursor"]}


@asynccontextmanager
async def client(
    *plugins: str | ModuleType,
    answers: Mapping[str, Mapping[str, Any]] | None = None,
    root: Path | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    extensions: Mapping[str, Mapping[str, Any]] | None = None,
) -> AsyncIterator[PluginClient]:
    """Yield a client of plugins; their lifespans run meanwhile.

    Warnings and errors are logged to standard error, unless structlog is configured already.

    Args:
        plugins: modules, or their names as in the setting `mcp.plugins`.
        answers: responses to the questions that functions ask, by their keys.
        root: the directory for `ctx.files` and `ctx.commands`; by default an empty one, removed afterwards.
        settings: further settings by section, as in the configuration file.
        extensions: the extensions that the client declares, by identifier, each with its settings.

    Raises:
        PluginError: a plugin cannot be loaded, or its lifespan fails.
    """
    names = [plugin if isinstance(plugin, str) else plugin.__name__ for plugin in plugins]
    given = {name: dict(section) for name, section in (settings or {}).items()}
    given["mcp"] = {**given.get("mcp", {}), "plugins": names}
    given.setdefault("telemetry", {}).setdefault("store", "off")
    if not structlog.is_configured():
        structlog.configure(
            wrapper_class=structlog.make_filtering_bound_logger("warning"),
            logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        )
    with TemporaryDirectory(prefix="tfo-mcp-testing-") as empty:
        given["files"] = {**given.get("files", {}), "roots": [str(root or empty)]}
        server = build(Settings.model_validate(given), tracebacks=True)
        async with server.running():
            yield PluginClient(server, answers or {}, extensions)


class _Reply(Outlet):
    """Keeps the response."""

    def __init__(self) -> None:
        self.frame = b""

    async def reply(self, frame: bytes, fault: Fault | None, revision: Revision) -> None:
        self.frame = frame
