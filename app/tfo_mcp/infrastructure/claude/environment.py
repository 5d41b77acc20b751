"""What the SDK's HTTP client takes from the environment: proxies, hosts without a proxy, and certificates.

Names the variable that the client cannot use, without its value. The client reads HTTP_PROXY, HTTPS_PROXY, ALL_PROXY,
NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR when it is created.
"""

import os
from importlib.util import find_spec
from urllib.parse import urlsplit

from tfo_mcp.domain.errors import NotConfigured

_SCHEMES = ("http", "https", "socks5", "socks5h")
_SOCKS_PACKAGE = "socksio"
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def check_proxies() -> None:
    """Check every proxy that the environment names.

    Raises:
        NotConfigured: one has no usable URL, or needs a package that is not installed.
    """
    proxies = _proxies()
    if "*" in (host.strip() for host in proxies.get("no", "").split(",")):
        return
    for kind in ("http", "https", "all"):
        if url := proxies.get(kind):
            _check(url if "://" in url else f"http://{url}", _variable(kind))


def named_proxy(base_url: str) -> str | None:
    """Return the variable that names the proxy for a URL, None if there is none."""
    scheme = urlsplit(base_url).scheme
    proxies = _proxies()
    return next((_variable(kind) for kind in (scheme, "all") if proxies.get(kind)), None)


def unusable(problem: Exception) -> NotConfigured:
    """Return the error for an exception that creating the client raised, after `check_proxies`."""
    if isinstance(problem, OSError):  # also errors of TLS
        variable = next((name for name in _CERTIFICATES if name in os.environ), _CERTIFICATES[0])
        return NotConfigured(
            f"The certificates in the environment variable {variable} cannot be read: set it to a readable place with "
            "certificates in PEM format, or unset it, and restart the server"
        )
    return NotConfigured(
        f"The hosts in the environment variable {_variable('no')} cannot be used: list names and addresses, separated "
        "by commas, and restart the server"
    )


def _proxies() -> dict[str, str]:
    from urllib.request import getproxies  # takes 4 ms, which a server that never calls the API does without

    return getproxies()


def _check(url: str, variable: str) -> None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        is_usable = parts.scheme in _SCHEMES and bool(host) and not any(map(str.isspace, host)) and port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise NotConfigured(
            f"The proxy in the environment variable {variable} cannot be used: set it to a URL such as "
            "http://host:port, or unset it, and restart the server"
        )
    if parts.scheme.startswith("socks") and find_spec(_SOCKS_PACKAGE) is None:
        raise NotConfigured(
            f"The environment variable {variable} names a SOCKS proxy, which needs the Python package "
            f"{_SOCKS_PACKAGE}: install it, or unset the variable, and restart the server"
        )


def _variable(kind: str) -> str:
    """Return the name of the variable as it is spelled in the environment."""
    name = f"{kind}_proxy"
    return name if name in os.environ else name.upper()
