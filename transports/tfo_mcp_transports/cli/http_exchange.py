"""Sends the requests of the command line's client over HTTP, and takes answers in JSON and as event streams.

Every failure is a `CallFailed` with one line that says what to change. Knows no method of MCP.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tfo_mcp.presentation.protocol.revisions import LATEST_STATELESS
from tfo_mcp_transports.cli.dialogue import CallFailed
from tfo_mcp_transports.cli.terminal_text import one_line

if TYPE_CHECKING:
    import httpx

_SECONDS = 600.0
_SHOWN = 200
_KEY = re.compile(r"[!-~]+")
_EXAMPLE = "http://127.0.0.1:8080/mcp"
Notified = Callable[[bytes], None]
Exchange = Callable[[Mapping[str, str], bytes, Notified], bytes]
"""Sends a request, given the headers that mirror it, its body and a function of notifications; returns the response."""


def not_mcp(reason: str) -> CallFailed:
    """Return the failure for an answer that no MCP server gives."""
    return CallFailed(f"The answer is not one of MCP: {reason}; check the address after --url")


def message_of(data: bytes | str) -> dict[str, Any]:
    """Return a message as an object.

    Raises:
        CallFailed: the data is not a JSON object.
    """
    try:
        message = json.loads(data)
    except (ValueError, RecursionError) as problem:
        raise not_mcp(f"it is not JSON ({one_line(problem)})") from None
    if not isinstance(message, dict):
        raise not_mcp("it is not a JSON object")
    return message


class HttpExchange:
    """An `Exchange` with the endpoint of a server; a context manager.

    Args:
        url: the endpoint.
        key: an API key or token, None without one.
        streams: whether an answer may be an event stream, with notifications before the response.

    Raises:
        CallFailed: the URL or the key cannot be one.
    """

    def __init__(self, url: str, key: str | None, *, streams: bool) -> None:
        import httpx

        self._url = url
        self._target = _target(url)
        self._headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream" if streams else "application/json",
            "MCP-Protocol-Version": LATEST_STATELESS.version,
            **({} if key is None else {"Authorization": f"Bearer {_checked(key)}"}),
        }
        self._http = httpx.Client(timeout=_SECONDS)

    def __enter__(self) -> "HttpExchange":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._http.close()

    def __call__(self, mirrors: Mapping[str, str], body: bytes, notified: Notified) -> bytes:
        """Send a request and return the response; see `Exchange`.

        Raises:
            CallFailed: the server cannot be reached, or its answer is none of MCP.
        """
        import httpx

        headers = {**self._headers, **mirrors}
        try:
            with self._http.stream("POST", self._target, content=body, headers=headers) as response:
                kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
                if kind == "text/event-stream":
                    return _response_in(_events(response.iter_bytes()), notified)
                response.read()
        except httpx.HTTPError as problem:
            raise CallFailed(f"{self._url} cannot be reached: {one_line(problem)}") from None
        if kind != "application/json":
            shown = one_line(response.text.strip()[:_SHOWN])
            raise CallFailed(f"{self._url} answered {response.status_code}: {shown}")
        return response.content


def _target(url: str) -> "httpx.URL":
    import httpx

    try:
        return httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as problem:
        raise CallFailed(f"{url!r} is not a URL ({one_line(problem)}): write it as in --url {_EXAMPLE}") from None


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise CallFailed("The key is not one of a server: keys and tokens have ASCII letters, digits and signs only; "
                         "copy it again to --key or TFO_MCP_KEY")  # fmt: skip
    return key


def _response_in(events: Iterable[str], notified: Notified) -> bytes:
    """Return the response at the end of a stream of messages, and pass the notifications before it on.

    Raises:
        CallFailed: the stream ends before it, or has something else than messages.
    """
    for event in events:
        if "method" not in message_of(event):
            return event.encode()
        notified(event.encode())
    raise CallFailed("The connection ended before the result")


def _events(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield the data of each event that has any (WHATWG HTML, 9.2.6)."""
    data: list[str] = []
    for line in _lines(chunks):
        name, _, value = line.decode(errors="replace").partition(":")
        if name == "data":
            data.append(value.removeprefix(" "))
        elif not line:
            if any(data):
                yield "\n".join(data)
            data = []


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of a stream; other separators that `str.splitlines` knows can be in texts."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line.removesuffix(b"\r") for line in lines)
