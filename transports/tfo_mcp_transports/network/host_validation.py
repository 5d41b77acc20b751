"""Guards: which Host and Origin are served, on every route (protection against DNS rebinding).

Wraps the whole ASGI application, and refuses headers that stand twice where that would be ambiguous. Names are compared
exactly after parsing; nothing is matched by suffix or pattern.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from tfo_mcp_transports.network.responses import refuse, upgrade_refusal

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_ONCE = frozenset({b"authorization", b"content-encoding", b"content-length", b"content-type", b"x-api-key"})
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}  # of the page that may ask


_Address = tuple[str, int | None]


class Guards:
    """Lets a request through if its Host is ours and its Origin, where it has one, is trusted.

    Loopback names are always ours, with any port, and so is the address that the connection came in on, which no name
    can stand for; `hosts` adds `name` (any port) or `name:port`. An Origin is trusted when it is a loopback name on the
    scheme and port that were asked, or stands in `origins` exactly.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str], origins: Iterable[str]) -> None:
        self._app = app
        self._hosts = frozenset(hosts)
        self._origins = frozenset(origins)
        self._known: set[tuple[bytes, bytes | None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, or the handshake of a WebSocket, or answer 403."""
        if scope["type"] != "lifespan":
            hosts: list[bytes] = []
            origins: list[bytes] = []
            once: set[bytes] = set()
            for name, value in scope["headers"]:
                if name == b"host":
                    hosts.append(value)
                elif name == b"origin":
                    origins.append(value)
                elif name in _ONCE:
                    if name in once:
                        await refuse(_answering(scope, send), 400, f"Send one {name.decode()} header at most")
                        return
                    once.add(name)
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
        if origin is None or self._trusts(origin.decode("latin-1").lower(), scheme, port):
            return None
        return "This Origin is not trusted: add it to the setting server.allowed_origins"

    def _trusts(self, origin: str, scheme: str, port: int | None) -> bool:
        if origin in self._origins:
            return True
        try:
            parts = urlsplit(origin)
            name, own_port = _host_and_port(parts.netloc)
        except ValueError:
            return False
        if origin != f"{scheme}://{parts.netloc}":
            return False
        default = 443 if scheme == "https" else 80
        return name in _LOOPBACK and (own_port or default) == (port or default)


def _answering(scope: Scope, send: Send) -> Send:
    return upgrade_refusal(send) if scope["type"] == "websocket" else send


def _is_own_address(name: str, server: _Address | None) -> bool:
    return server is not None and name in (server[0], f"[{server[0]}]")


def _host_and_port(host: str) -> tuple[str | None, int | None]:
    """Split `name`, `name:port`, `[v6]` or `[v6]:port`; the name is None when it is none of these."""
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
