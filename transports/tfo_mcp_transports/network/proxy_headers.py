"""Forwarded: who the client is, as a proxy tells it that is trusted to.

X-Forwarded-For and X-Forwarded-Proto count only when the connection comes from a configured proxy; of the addresses the
last one counts that is no proxy's, since everything before it is what the client says of itself.
"""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from starlette.types import ASGIApp, Receive, Scope, Send

_SCHEMES = {("http", "https"): "https", ("ws", "https"): "wss"}


class Forwarded:
    """Replaces a connection's address and scheme by those that the proxy tells."""

    def __init__(self, app: ASGIApp, proxies: Iterable[str]) -> None:
        self._app = app
        self._proxies: list[IPv4Network | IPv6Network] = [ip_network(proxy) for proxy in proxies]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request as the client's own."""
        client = scope.get("client")
        if scope["type"] != "lifespan" and client and self._is_proxy(client[0]):
            headers = dict(scope["headers"])
            scope = {**scope, "client": (self._client(headers.get(b"x-forwarded-for", b""), client[0]), 0)}
            proto = headers.get(b"x-forwarded-proto", b"").decode("latin-1").strip().lower()
            scope["scheme"] = _SCHEMES.get((scope["scheme"], proto), scope["scheme"])
        await self._app(scope, receive, send)

    def _client(self, forwarded_for: bytes, proxy: str) -> str:
        for entry in reversed(forwarded_for.decode("latin-1").split(",")):
            try:
                address = str(ip_address(entry.strip()))
            except ValueError:
                return proxy  # no address: nothing before it can be believed either
            if not self._is_proxy(address):
                return address
        return proxy

    def _is_proxy(self, address: str) -> bool:
        try:
            found = ip_address(address)
        except ValueError:
            return False
        return any(found in proxy for proxy in self._proxies)
