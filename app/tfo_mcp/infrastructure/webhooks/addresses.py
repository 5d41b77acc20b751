"""PublicTransport: sends HTTP requests to public addresses only, against server-side request forgery (SSRF).

The name is resolved once, the addresses are checked, and the connection goes to a checked address: an answer of the DNS
that changes between check and connection has no effect. TLS verifies the certificate for the name. Must not know
webhooks.
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from socket import SOCK_STREAM, gaierror

import anyio
import httpx

_MOST_ADDRESSES = 3
_TRANSLATED = ip_network("64:ff9b::/96")  # NAT64 (RFC 6052): the last four bytes are an IPv4 address
_PORTS = {"http": 80, "https": 443}
Address = IPv4Address | IPv6Address


class AddressRefused(Exception):
    """A host has no address that requests may go to."""


class PublicTransport(httpx.AsyncBaseTransport):
    """Resolves, checks and connects.

    Args:
        allowed: networks that requests may go to although they are not public.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = [ip_network(network) for network in allowed]
        # a connection that is kept belongs to an address, and could be used for another name with another certificate
        self._transport = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_keepalive_connections=0))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request.

        Raises:
            AddressRefused: the host has no address that is allowed.
            httpx.TransportError: the request fails.
        """
        host = request.url.raw_host.decode("ascii")
        addresses = await self._addresses(host, request.url.port or _PORTS[request.url.scheme])
        for last, address in enumerate(addresses, 1 - len(addresses)):
            pinned = httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host},
            )
            try:
                return await self._transport.handle_async_request(pinned)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if last == 0:
                    raise
        raise AddressRefused("it has no address on the public internet")

    async def aclose(self) -> None:
        """Close connections."""
        await self._transport.aclose()

    async def _addresses(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a host that may be connected to."""
        try:
            found = await anyio.getaddrinfo(host, port, type=SOCK_STREAM)
        except (gaierror, UnicodeError) as problem:
            raise httpx.ConnectError(f"the name cannot be resolved: {type(problem).__name__}") from None
        texts = dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found)
        return [text for text in texts if self._may_connect(ip_address(text))][:_MOST_ADDRESSES]

    def _may_connect(self, address: Address) -> bool:
        return is_public(address) or any(address in network for network in self._allowed)


def is_public(address: Address) -> bool:
    """Return whether an address, and the IPv4 address that it may contain, is on the public internet."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _TRANSLATED:
            inner = IPv4Address(address.packed[-4:])
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None or address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved
