"""A small MCP client for the command line: stateless requests to an in-process server or over HTTP."""

import asyncio
import json
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Any

from mcp_types import CLIENT_CAPABILITIES_META_KEY, CLIENT_INFO_META_KEY, PROTOCOL_VERSION_META_KEY

from tfo_mcp.bootstrap import Settings, build, logging_of, server_version
from tfo_mcp.presentation.protocol.call import Facts, Outlet, Transport
from tfo_mcp.presentation.protocol.faults import Fault
from tfo_mcp.presentation.protocol.revisions import LATEST_STATELESS, Revision
from tfo_mcp.presentation.server import OWNER
from tfo_mcp_transports.cli.loops import event_loop
from tfo_mcp_transports.descriptors import stdout_to_stderr

_TRANSPORT = Transport("cli", "pipe")
_HTTP_SECONDS = 600.0


def _metadata() -> dict[str, object]:
    """Return the `_meta` of a request of the latest revision from a client without capabilities."""
    return {
        PROTOCOL_VERSION_META_KEY: LATEST_STATELESS.version,
        CLIENT_INFO_META_KEY: {"name": "tfo-mcp", "version": server_version()},
        CLIENT_CAPABILITIES_META_KEY: {},
    }


def _headers(method: str, name: str | None) -> dict[str, str]:
    """Return the HTTP headers that mirror such a request."""
    headers = {"MCP-Protocol-Version": LATEST_STATELESS.version, "Mcp-Method": method}
    return headers if name is None else {**headers, "Mcp-Name": name}


class CallFailed(Exception):
    """The request has failed; the message gives the reason."""


class Client:
    """Sends requests.

    Args:
        exchange: sends one request, given its method, its name parameter and its body; returns the response body.
    """

    def __init__(self, exchange: Callable[[str, str | None, bytes], bytes]) -> None:
        self._exchange = exchange
        self._ids = count(1)

    def request(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the result of one request.

        Raises:
            CallFailed: the server refused it or could not be reached.
        """
        message = {
            "jsonrpc": "2.0",
            "id": next(self._ids),
            "method": method,
            "params": {**params, "_meta": _metadata()},
        }
        answer = json.loads(self._exchange(method, params.get("name"), json.dumps(message).encode()))
        if "error" in answer:
            raise CallFailed(str(answer["error"].get("message", "unknown error")))
        result: dict[str, Any] = answer["result"]
        if result.get("resultType") == "input_required":
            raise CallFailed("The tool asks for input, which the command line cannot give")
        return result

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


@contextmanager
def in_process(settings: Settings) -> Iterator[Client]:
    """Yield a client of a new in-process server; its requests act as the owner of the process."""
    with stdout_to_stderr(), logging_of(settings), event_loop() as loop:
        server = build(settings)

        async def serve(body: bytes) -> bytes:
            peer, outlet = server.peers.connect(), _Capture()
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, peer.cancel_all)
            await peer.receive(body, outlet, Facts(_TRANSPORT, OWNER))
            asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)
            if not outlet.answer:
                raise KeyboardInterrupt
            return outlet.answer

        try:
            yield Client(lambda _method, _name, body: loop.run(serve(body)))
        finally:
            loop.run(server.close())


@contextmanager
def over_http(url: str, key: str | None) -> Iterator[Client]:
    """Yield a client of a running server; it sends the API key or token if one is given."""
    import httpx

    with httpx.Client(timeout=_HTTP_SECONDS) as http:

        def exchange(method: str, name: str | None, body: bytes) -> bytes:
            headers = {
                "Content-Type": "application/json",
                "Accept": "application/json",
                **_headers(method, name),
                **({} if key is None else {"Authorization": f"Bearer {key}"}),
            }
            try:
                response = http.post(url, content=body, headers=headers)
            except httpx.HTTPError as problem:
                raise CallFailed(f"{url} cannot be reached: {problem}") from None
            if response.headers.get("content-type", "").partition(";")[0] != "application/json":
                raise CallFailed(f"{url} answered {response.status_code}: {response.text.strip()[:200]}")
            return response.content

        yield Client(exchange)


class _Capture(Outlet):
    """Keeps the response; the command line ignores all other messages."""

    def __init__(self) -> None:
        self.answer = b""

    async def reply(self, frame: bytes, fault: Fault | None, revision: Revision) -> None:
        self.answer = frame
