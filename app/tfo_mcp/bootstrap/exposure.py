"""Exposure: decides what network callers may do without credentials, and explains why.

Owns the rule that a public server allows no anonymous access unless `security.require_key` is false. Also owns the
texts that report it at startup and in `tfo-mcp doctor`. Must not know requests: the access handler enforces the rule.
"""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address

from tfo_mcp.domain.access import EVERYTHING_BUT_ADMIN, READING, TELEMETRY_READ
from tfo_mcp.infrastructure.config import Settings
from tfo_mcp.infrastructure.diagnosis import Finding
from tfo_mcp.value_objects import value_object

_SCOPES: Mapping[str, frozenset[str] | None] = {"none": None, "read": READING, "all": EVERYTHING_BUT_ADMIN}
_ALLOWED = {"read": "call tools that only read", "all": "call every tool"}
_MAKE_KEY = "`tfo-mcp keys create --name NAME` creates a key"


@value_object
class Exposure:
    """Scopes of callers without credentials, for direct requests and for requests that a proxy has forwarded.

    None means that credentials are required. `reason` says why.
    """

    direct: frozenset[str] | None
    forwarded: frozenset[str] | None
    reason: str


def exposure_of(settings: Settings) -> Exposure:
    """Return the exposure that the settings determine."""
    scopes = _SCOPES[settings.security.anonymous]
    if scopes is None:
        return Exposure(None, None, "security.anonymous is none")
    match settings.security.require_key:
        case True:
            return Exposure(None, None, "security.require_key is true")
        case False:
            return Exposure(scopes, scopes, "security.require_key is false")
    public = why_public(settings)
    if public is not None:
        return Exposure(None, None, public)
    return Exposure(
        scopes | {TELEMETRY_READ},
        None,
        "the server is bound to the loopback interface, and security.require_key is not set",
    )


def anonymous_access(settings: Settings) -> tuple[str, ...]:
    """Return sentences that explain what network callers may do without credentials, and why."""
    exposure, allowed = exposure_of(settings), _ALLOWED.get(settings.security.anonymous)
    because = f"since {exposure.reason}"
    if exposure.direct is None:
        return (f"Network callers need an API key or a token, {because}: {_MAKE_KEY}.",)
    if exposure.forwarded is None:
        return (
            f"Network callers without a key can {allowed} (security.anonymous), {because}.",
            f"Requests that a proxy has forwarded need an API key or a token: {_MAKE_KEY}.",
        )
    return (f"Network callers without a key, also behind a proxy, can {allowed} (security.anonymous), {because}.",)


def access_findings(settings: Settings) -> Iterator[Finding]:
    """Yield findings about access without credentials; anonymous access to a public server gets a note."""
    yield Finding("stdio, Unix socket", "ok", "the caller is the process owner and has all permissions")
    exposure = exposure_of(settings)
    is_open = exposure.direct is not None and why_public(settings) is not None
    for subject, sentence in zip(("network", "proxies"), anonymous_access(settings), strict=False):
        yield Finding(subject, "note" if is_open else "ok", sentence)


def why_public(settings: Settings) -> str | None:
    """Return why the server may be reachable from other machines, None if nothing in the settings indicates it."""
    section = settings.server
    if not section.is_loopback:
        return f"the server is bound to {section.host} (server.host)"
    if section.trusted_proxies:
        return "it is behind a proxy (server.trusted_proxies)"
    named = next((host for host in section.allowed_hosts if not is_loopback_host(host)), None)
    return None if named is None else f"it is public as {named} (server.allowed_hosts)"


def is_loopback_host(host: str) -> bool:
    """Return whether a host (`name`, `name:port`, `[v6]` or `[v6]:port`) is a loopback name or address."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
