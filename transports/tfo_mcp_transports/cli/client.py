"""A small MCP client for the command line: stateless requests to an in-process server or over HTTP.

Questions of tools go to a `Dialogue`, progress to its display. An answer that is not one of MCP is a `CallFailed`.
`http_exchange` knows HTTP. Knows no sub-command.
"""

import asyncio
import json
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from tfo_mcp.bootstrap import Settings, build, logging_of, server_version
from tfo_mcp.presentation.protocol.call import Facts, Outlet, Transport
from tfo_mcp.presentation.protocol.faults import Fault, Kind
from tfo_mcp.presentation.protocol.headers import mirrors
from tfo_mcp.presentation.protocol.metadata import CLIENT_CAPABILITIES, CLIENT_INFO, PROTOCOL_VERSION
from tfo_mcp.presentation.protocol.revisions import LATEST_STATELESS, Revision
from tfo_mcp.presentation.protocol.validation import check_result
from tfo_mcp.presentation.server import OWNER
from tfo_mcp_transports.cli.dialogue import CallFailed, Dialogue
from tfo_mcp_transports.cli.effective_settings import QUIET, settings_of
from tfo_mcp_transports.cli.http_exchange import Exchange, HttpExchange, Notified, message_of, not_mcp
from tfo_mcp_transports.cli.loops import event_loop
from tfo_mcp_transports.cli.terminal_text import one_line
from tfo_mcp_transports.descriptors import stdout_to_stderr

_TRANSPORT = Transport("cli", "pipe")
_HEADER_MISMATCH = LATEST_STATELESS.error_codes[Kind.HEADER_MISMATCH]


def _metadata(dialogue: Dialogue | None) -> dict[str, object]:
    """Return the `_meta` of a request of the latest revision; with a dialogue the client answers forms."""
    common: dict[str, object] = {
        PROTOCOL_VERSION: LATEST_STATELESS.version,
        CLIENT_INFO: {"name": "tfo-mcp", "version": server_version()},
        CLIENT_CAPABILITIES: {},
    }
    if dialogue is None:
        return common
    answers: dict[str, object] = {CLIENT_CAPABILITIES: {"elicitation": {"form": {}}}} if dialogue.can_answer else {}
    return {**common, **answers, **({"progressToken": "progress"} if dialogue.shows_progress else {})}


class _HeadersDiffer(CallFailed):
    """The server asks for headers that mirror the arguments of a tool."""


class Client:
    """Sends requests.

    Args:
        exchange: sends one request, given the headers that mirror it, its body and a function that takes each
            notification; returns the response.
        dialogue: answers questions and shows progress; None for a client that does neither.
    """

    def __init__(self, exchange: Exchange, dialogue: Dialogue | None = None) -> None:
        self._exchange = exchange
        self._dialogue = dialogue
        self._ids = count(1)

    def call(self, tool: str, arguments: Mapping[str, Any], schema: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """Return the result of a tool, whose input schema is read only if the server asks for headers that it marks.

        Raises:
            CallFailed: as `request`.
        """
        params = {"name": tool, "arguments": arguments}
        try:
            return self.request("tools/call", params)
        except _HeadersDiffer:
            return self.request("tools/call", params, schema())

    def request(
        self, method: str, params: Mapping[str, Any], schema: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the result of one request; its questions are answered.

        Args:
            schema: the input schema of the tool that is called.

        Raises:
            CallFailed: the server refused it, could not be reached, or asked what cannot be answered.
        """
        more: dict[str, Any] = {}
        while True:
            result = self._once(method, {**params, **more}, schema or {})
            if result.get("resultType") != "input_required":
                return result
            more = {"inputResponses": self._answers(result.get("inputRequests") or {})}
            if "requestState" in result:
                more["requestState"] = result["requestState"]

    def _once(self, method: str, params: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
        message = {
            "jsonrpc": "2.0",
            "id": next(self._ids),
            "method": method,
            "params": {**params, "_meta": _metadata(self._dialogue)},
        }
        headers = _mirrors(method, params, schema)
        answer = message_of(self._exchange(headers, json.dumps(message).encode(), self._notified))
        error, result = answer.get("error"), answer.get("result")
        if isinstance(error, dict):
            failure = _HeadersDiffer if error.get("code") == _HEADER_MISMATCH else CallFailed
            raise failure(one_line(error.get("message", "unknown error")))
        if not isinstance(result, dict):
            raise not_mcp("it has neither a result nor an error")
        try:
            check_result(method, LATEST_STATELESS, result)
        except ValueError as problem:
            raise not_mcp(one_line(problem)) from None
        return result

    def _notified(self, frame: bytes) -> None:
        if self._dialogue is not None:
            self._dialogue.notified(message_of(frame))

    def _answers(self, questions: Mapping[str, Any]) -> dict[str, Any]:
        if self._dialogue is None or not self._dialogue.can_answer:
            raise CallFailed("The tool asks for input: run the command on a terminal")
        return {key: self._dialogue.answer(question) for key, question in questions.items()}

    def all_pages(self, method: str, field: str) -> list[dict[str, Any]]:
        """Return the entries of all pages of a list method; `field` is their member in each result."""
        entries: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            result = self.request(method, {} if cursor is None else {"cursor": cursor})
            entries += result[field]
            cursor = result.get("nextCursor")
            if cursor is None:
                return entries


def _mirrors(method: str, params: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, str]:
    try:
        return mirrors(method, params, schema)
    except UnicodeEncodeError as problem:
        raise CallFailed(f"{problem.object!r} cannot be sent, since it is not UTF-8: write it in UTF-8") from None
    except ValueError as problem:
        raise not_mcp(one_line(problem)) from None


@contextmanager
def in_process(settings: Settings, dialogue: Dialogue | None = None) -> Iterator[Client]:
    """Yield a client of a new in-process server; its requests act as the owner of the process."""
    with stdout_to_stderr(), logging_of(settings), event_loop() as loop:
        server = build(settings)

        async def prepare() -> None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, server.stop)
            await server.prepare()
            asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)

        async def serve(body: bytes, notified: Notified) -> bytes:
            peer, outlet = server.peers.connect(), _Capture(notified)
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, peer.cancel_all)
            await peer.receive(body, outlet, Facts(_TRANSPORT, OWNER))
            asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)
            if not outlet.answer:
                raise KeyboardInterrupt
            return outlet.answer

        try:
            loop.run(prepare())
            if server.stopping.is_set():
                raise KeyboardInterrupt
            yield Client(lambda _headers, body, notified: loop.run(serve(body, notified)), dialogue)
        finally:
            loop.run(server.close())


@contextmanager
def over_http(url: str, key: str | None, dialogue: Dialogue | None = None) -> Iterator[Client]:
    """Yield a client of a running server; it sends the API key or token if one is given.

    Raises:
        CallFailed: the URL or the key cannot be one.
    """
    with HttpExchange(url, key, streams=dialogue is not None) as exchange:
        yield Client(exchange, dialogue)


@contextmanager
def connected(
    url: str | None, key: str | None, config: Path | None, dialogue: Dialogue | None = None
) -> Iterator[Client]:
    """Yield a client of the running server at `url`, or of an in-process server with these settings."""
    with in_process(settings_of(config, QUIET), dialogue) if url is None else over_http(url, key, dialogue) as client:
        yield client


class _Capture(Outlet):
    """Keeps the response, and passes notifications on."""

    def __init__(self, notified: Notified) -> None:
        self.answer = b""
        self._notified = notified

    async def notify(self, frame: bytes) -> None:
        self._notified(frame)

    async def reply(self, frame: bytes, fault: Fault | None, revision: Revision) -> None:
        self.answer = frame
