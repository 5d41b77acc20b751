"""Forwarded: the client's address, the scheme and the path prefix from the headers of trusted proxies.

X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Prefix are used only when the connection comes from a configured
proxy. The client is the last address that is not a proxy's: the client itself can forge every address before it. The
prefix is what the proxy has removed from the path.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from starlette.types import ASGIApp, Receive, Scope, Send

_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~%!$&'()*+;=:@-]+)+")
_SCHEMES = {("http", "https"): "https", ("ws", "https"): "wss"}


class Forwarded:
    """Replaces the address, the scheme and the root path of a request by those that a trusted proxy reports."""

    def __init__(self, app: ASGIApp, proxies: Iterable[str]) -> None:
        self._app = app
        self._proxies: list[IPv4Network | IPv6Network] = [ip_network(proxy) for proxy in proxies]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request with the client's address and scheme, beneath the prefix."""
        client = scope.get("client")
        if scope["type"] != "lifespan" and client and self._is_proxy(client[0]):
            headers = dict(scope["headers"])
            scope = {**scope, "client": (self._client(headers.get(b"x-forwarded-for", b""), client[0]), 0)}
            proto = headers.get(b"x-forwarded-proto", b"").decode("latin-1").strip().lower()
            scope["scheme"] = _SCHEMES.get((scope["scheme"], proto), scope["scheme"])
            prefix = _prefix(headers.get(b"x-forwarded-prefix", b""))
            if prefix:  # ASGI: the path includes the root path
                scope |= {"root_path": prefix + scope.get("root_path", ""), "path": prefix + scope["path"]}
        await self._app(scope, receive, send)

    def _client(self, forwarded_for: bytes, proxy: str) -> str:
        for entry in reversed(forwarded_for.decode("latin-1").split(",")):
            try:
                address = str(ip_address(entry.strip()))
            except ValueError:
                return proxy  # not an address: no entry before it can be trusted either
            if not self._is_proxy(address):
                return address
        return proxy

    def _is_proxy(self, address: str) -> bool:
        try:
            found = ip_address(address)
        except ValueError:
            return False
        return any(found in proxy for proxy in self._proxies)


def _prefix(header: bytes) -> str:
    """Return the prefix in a header, joined if several proxies have added one; empty if it is not a path."""
    parts = [part.strip().rstrip("/") for part in header.decode("latin-1").split(",")]
    prefix = "".join(parts)
    return prefix if all(not part or _PREFIX.fullmatch(part) for part in parts) else ""
