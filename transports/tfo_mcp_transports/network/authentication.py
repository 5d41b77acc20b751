"""Authentication of network requests: extracts credentials, and answers requests without valid ones.

Owns the places of credentials (Authorization: Bearer, X-API-Key, and for browsers a WebSocket subprotocol entry; never
the query string), the headers that reveal a proxy, and the challenges of 401 and 403 (RFC 6750, 3; RFC 9728, 5.1). The
server verifies the credentials.
"""

import binascii
import json
from base64 import urlsafe_b64decode
from collections.abc import Callable, KeysView, Sequence
from math import ceil

from starlette.types import Scope, Send

from tfo_mcp.presentation.protocol.call import Facts, Transport
from tfo_mcp.presentation.protocol.faults import Fault, Kind, encode_fault
from tfo_mcp.presentation.protocol.revisions import DEFAULT_REVISION
from tfo_mcp.presentation.server import Caller, Server, scope_names
from tfo_mcp.value_objects import value_object
from tfo_mcp_transports.network.connection_state import may_go_on
from tfo_mcp_transports.network.request_headers import RequestHeaders, headers_of
from tfo_mcp_transports.network.responses import answer, refuse

METADATA_PATH = "/.well-known/oauth-protected-resource"
SUBPROTOCOL_PREFIX = "base64url.bearer.authorization.tfo-mcp."
_WITH_CREDENTIALS = ("key", "token")
_CREDENTIALS = frozenset({b"authorization", b"x-api-key"})
_MOST_KNOWN, _LONGEST_KNOWN = 1024, 64
_FORWARDED = frozenset(
    {
        *(b"forwarded", b"forwarded-for", b"via", b"x-real-ip", b"x-real-port", b"client-ip", b"x-client-ip"),
        *(b"x-cluster-client-ip", b"true-client-ip", b"fastly-client-ip", b"fly-client-ip", b"proxy-client-ip"),
        *(b"wl-proxy-client-ip", b"x-proxyuser-ip", b"x-remote-ip", b"x-remote-addr", b"x-originating-ip"),
    }
)
_FORWARDED_PREFIXES = (
    *(b"x-forwarded", b"x-original-", b"x-envoy-", b"x-arr-", b"x-azure-", b"x-appengine-"),
    *(b"cf-", b"cdn-", b"tailscale-"),
)

Header = tuple[bytes, bytes]
RETRY_LATER: Sequence[Header] = ((b"retry-after", b"1"), (b"connection", b"close"))
"""Headers of responses that ask the client to retry later, as during a graceful shutdown."""


class _Unusable(Exception):
    """The request carries its credentials in an unsupported form."""


@value_object
class ProtectedResource:
    """The published facts about token authentication: issuer, audience, and the path of the MCP endpoint."""

    issuer: str
    audience: str
    path: str


class HttpAuthentication:
    """Authenticates HTTP requests and WebSocket handshakes.

    Args:
        server: verifies the credentials.
        resource: the OAuth protected resource; None when OAuth tokens are not accepted.
    """

    def __init__(self, server: Server, resource: ProtectedResource | None) -> None:
        self._server = server
        self._resource = resource

    async def authenticate(self, scope: Scope, send: Send, transport: Transport) -> Caller | None:
        """Return the authenticated caller; when authentication fails, send the error response and return None."""
        try:
            shown, is_proxied = _shown(headers_of(scope), scope.get("subprotocols", ()))
        except _Unusable as problem:
            await refuse(send, 400, str(problem))
            return None
        try:
            caller = await self._server.authenticate(shown, transport.name, address_of(scope), is_forwarded=is_proxied)
        except Fault as fault:
            await self.refuse(scope, send, fault)
            return None
        if caller.method in _WITH_CREDENTIALS and not may_go_on(scope):
            await refuse(send, 503, "Too many connections are open (setting server.max_connections)", RETRY_LATER)
            return None
        return caller

    async def take_stream(self, scope: Scope, send: Send, facts: Facts) -> Callable[[], None] | None:
        """Count a stream for the client and return its release function; above the limit, send 429 and return None."""
        try:
            return self._server.take_stream(facts)
        except Fault as fault:
            await self.refuse(scope, send, fault)
            return None

    async def refuse(self, scope: Scope, send: Send, fault: Fault) -> None:
        """Refuse a request whose body is not read yet: send 401 with a challenge, 429 with the rate limit, or 503."""
        status = DEFAULT_REVISION.http_status(fault.kind)
        body = encode_fault(fault, None)
        await answer(send, status, body, b"application/json", self._headers(scope, fault))

    def explain(self, scope: Scope, caller: Caller, fault: Fault, status: int) -> tuple[int, Sequence[Header]]:
        """Return the HTTP status and the headers of a fault; the status is `status` unless a scope is missing.

        Then it is 403 for a caller with credentials; another one has to show some (401), if it may know that.
        """
        if fault.needs and caller.method in _WITH_CREDENTIALS:
            return 403, [self._challenge(scope, error="insufficient_scope", scopes=fault.needs)]
        if fault.kind is Kind.MISSING_SCOPE:
            return 401, [self._challenge(scope, scopes=fault.needs)]
        return status, self._headers(scope, fault)

    def _headers(self, scope: Scope, fault: Fault) -> Sequence[Header]:
        if fault.kind is Kind.UNAUTHENTICATED:
            is_wrong = fault.data.get("reason") == "invalid"
            return [self._challenge(scope, error="invalid_token" if is_wrong else None)]
        if fault.kind is Kind.RATE_LIMITED:
            return rate_headers(fault)
        return RETRY_LATER if "retryAfterMs" in fault.data else []

    async def metadata(self, scope: Scope, send: Send) -> None:
        """Answer GET of the protected resource's metadata (RFC 9728)."""
        if self._resource is None:
            await refuse(send, 404, "This server takes no OAuth tokens (setting security.oauth)")
            return
        if scope["method"] not in ("GET", "HEAD"):
            await refuse(send, 405, "Use GET", [(b"allow", b"GET, HEAD")])
            return
        document = {
            "resource": self._resource.audience,
            "authorization_servers": [self._resource.issuer],
            "scopes_supported": scope_names(),
            "bearer_methods_supported": ["header"],
            "resource_name": "TelemetryFlow MCP Server",
        }
        await answer(
            send, 200, json.dumps(document).encode(), b"application/json", [(b"cache-control", b"max-age=3600")]
        )

    def _challenge(self, scope: Scope, *, error: str | None = None, scopes: Sequence[str] = ()) -> Header:
        """Return the challenge; without `scopes` it names the reading ones, where tokens can be asked for."""
        parts = ['realm="tfo-mcp"']
        if error is not None:
            parts.append(f'error="{error}"')
        if scopes or self._resource is not None:
            parts.append(f'scope="{" ".join(scopes or scope_names(reading=True))}"')
        if self._resource is not None:
            parts.append(f'resource_metadata="{_base(scope)}{METADATA_PATH}{self._resource.path}"')
        return b"www-authenticate", f"Bearer {', '.join(parts)}".encode("latin-1")


def _base(scope: Scope) -> str:
    """Return the scheme, the host and the root path of the request; host validation has accepted the host."""
    scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])
    return f"{scheme}://{headers_of(scope).by_name[b'host'].decode('latin-1')}{scope.get('root_path', '')}"


def address_of(scope: Scope) -> str | None:
    """Return the client's IP address; None when the server does not know it."""
    client = scope.get("client")
    return client[0] if client else None


_known_plain: set[bytes] = set()
"""Names of headers that no proxy adds, of requests so far."""


def is_forwarded(names: KeysView[bytes]) -> bool:
    """Return whether a header shows that a proxy, a tunnel or a CDN has forwarded the request (docs/security.md).

    A client can forge such a header; that only makes credentials mandatory and grants nothing.
    """
    if names <= _known_plain:
        return False
    if any(map(_is_added_by_proxies, names)):
        return True
    if len(_known_plain) + len(names) <= _MOST_KNOWN and all(len(name) <= _LONGEST_KNOWN for name in names):
        _known_plain.update(names)
    return False


def _is_added_by_proxies(name: bytes) -> bool:
    return name in _FORWARDED or name.startswith(_FORWARDED_PREFIXES)


def rate_headers(fault: Fault) -> list[Header]:
    """Return Retry-After (RFC 9110, 10.2.3) and the RateLimit fields (draft-ietf-httpapi-ratelimit-headers)."""
    seconds = max(1, ceil(fault.data["retryAfterMs"] / 1000))
    policy = str(fault.data["policy"])
    return [
        (b"retry-after", b"%d" % seconds),
        (b"ratelimit-policy", f'"{policy}";q={fault.data["limit"]}'.encode()),
        (b"ratelimit", f'"{policy}";r=0;t={seconds}'.encode()),
    ]


def _shown(headers: RequestHeaders, subprotocols: Sequence[str]) -> tuple[str | None, bool]:
    """Return the credential of a request, or None and whether a proxy has forwarded the request without one.

    An Authorization of another scheme is meant for a proxy, so it counts as a sign of one.

    Raises:
        _Unusable: the request carries several credentials, or one in an unsupported form.
    """
    if not subprotocols and _CREDENTIALS.isdisjoint(headers.by_name):
        return None, is_forwarded(headers.by_name.keys())
    given = [_value(name, value) for name in _CREDENTIALS for value in headers.values(name)]
    shown = [credential for credential in given if credential is not None]
    shown += [_from_subprotocol(entry) for entry in subprotocols if entry.startswith(SUBPROTOCOL_PREFIX)]
    if len(shown) > 1:
        raise _Unusable("Send one API key or token, in one place")
    if shown:
        return shown[0], False
    return None, any(headers.values(b"authorization")) or is_forwarded(headers.by_name.keys())


def _value(name: bytes, value: bytes) -> str | None:
    """Return the credential in a header; None if Authorization has another scheme, which is not for this server."""
    text = value.decode("latin-1").strip()
    if name == b"x-api-key":
        return text
    scheme, _, credential = text.partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else None


def _from_subprotocol(entry: str) -> str:
    encoded = entry.removeprefix(SUBPROTOCOL_PREFIX)
    try:
        return urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        raise _Unusable(f"Offer {SUBPROTOCOL_PREFIX}<key in base64url without padding>") from None
