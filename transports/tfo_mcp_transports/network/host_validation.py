"""Validation of Host and Origin on every route, as protection against DNS rebinding.

Wraps the whole ASGI application, and also refuses duplicate headers where they would be ambiguous. Names are parsed and
then compared exactly, never by suffix or pattern.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from tfo_mcp_transports.network.request_headers import headers_of
from tfo_mcp_transports.network.responses import refuse, upgrade_refusal

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_ONCE = frozenset({b"authorization", b"content-encoding", b"content-length", b"content-type", b"x-api-key"})
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}  # of a same-origin page
_DEFAULT_PORTS = {"http": 80, "https": 443}


_Address = tuple[str, int | None]


class Guards:
    """Passes a request on if its Host is served and its Origin, if present, is trusted.

    Loopback names are always served, with any port, and so is the local IP address of the connection, which DNS
    rebinding cannot put into a Host header. An Origin is trusted if `origins` contains it, if it is a loopback name
    with the scheme and the port of the request, or if it is the origin of the served host itself: with the request's
    scheme, or with https, because a proxy that ends TLS need not be a trusted one.

    Args:
        app: the wrapped application.
        hosts: further served hosts, `name` (any port) or `name:port`.
        origins: the trusted origins.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str], origins: Iterable[str]) -> None:
        self._app = app
        self._hosts = frozenset(hosts)
        self._origins = frozenset(origins)
        self._known: set[tuple[bytes, bytes | None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request or the WebSocket handshake; answer 400 or 403 if its headers are not accepted."""
        if scope["type"] != "lifespan":
            headers = headers_of(scope)
            if twice := headers.repeated & _ONCE:
                await refuse(_answering(scope, send), 400, f"Send one {min(twice).decode()} header at most")
                return
            hosts, origins = headers.values(b"host"), headers.values(b"origin")
            if len(hosts) != 1:
                await refuse(_answering(scope, send), 400, "A request has exactly one Host header")
                return
            pair = (hosts[0], b", ".join(origins) if origins else None)
            if pair not in self._known:
                problem = self._problem(*pair, _SCHEMES[scope["scheme"]], scope.get("server"))
                if problem is not None:
                    await refuse(_answering(scope, send), 403, problem)
                    return
                if len(self._known) < 1024:
                    self._known.add(pair)
        await self._app(scope, receive, send)

    def _problem(self, host: bytes, origin: bytes | None, scheme: str, server: _Address | None) -> str | None:
        shown = host.decode("latin-1").lower()
        name, port = _host_and_port(shown)
        if name is None:
            return "The Host header is not a host name with an optional port"
        if not (name in _LOOPBACK or name in self._hosts or shown in self._hosts or _is_own_address(name, server)):
            return "This Host is not served: add it to the setting server.allowed_hosts"
        if origin is None or self._trusts(origin.decode("latin-1").lower(), scheme, name, port):
            return None
        return "This Origin is not trusted: add it to the setting server.allowed_origins"

    def _trusts(self, origin: str, scheme: str, host: str, port: int | None) -> bool:
        if origin in self._origins:
            return True
        try:
            parts = urlsplit(origin)
            name, own_port = _host_and_port(parts.netloc)
        except ValueError:
            return False
        is_own = name == host and name not in _LOOPBACK
        if origin != f"{parts.scheme}://{parts.netloc}" or parts.scheme not in (
            {scheme, "https"} if is_own else {scheme}
        ):
            return False
        default = _DEFAULT_PORTS[parts.scheme]
        return (is_own or name in _LOOPBACK) and (own_port or default) == (port or default)


def _answering(scope: Scope, send: Send) -> Send:
    return upgrade_refusal(send) if scope["type"] == "websocket" else send


def _is_own_address(name: str, server: _Address | None) -> bool:
    return server is not None and name in (server[0], f"[{server[0]}]")


def _host_and_port(host: str) -> tuple[str | None, int | None]:
    """Split `name`, `name:port`, `[v6]` or `[v6]:port`; the name is None if the text has none of these forms."""
    if host.startswith("["):
        name, bracket, rest = host.partition("]")
        name, separator, port = name + bracket, rest[:1], rest[1:]
        if not bracket or separator not in ("", ":"):
            return None, None
    else:
        name, separator, port = host.partition(":")
    if not name or any(character in name for character in "/@?# \t"):
        return None, None
    if not separator:
        return name, None
    if not (port.isascii() and port.isdigit() and len(port) <= 5):
        return None, None
    return name, int(port)
