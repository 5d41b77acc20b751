"""Cross-origin resource sharing (CORS) for the configured origins."""

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

_METHODS = ("GET", "POST", "DELETE")
_EXPOSED = (
    "Mcp-Session-Id",
    "Mcp-Protocol-Version",
    "WWW-Authenticate",
    "Retry-After",
    "RateLimit",
    "RateLimit-Policy",
)


def cross_origin(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """Wrap an application so that it answers preflights of these origins and lets them read its responses.

    Every request header is allowed, because tools can name headers of their own; credentials such as cookies are not.
    """
    return CORSMiddleware(
        app, allow_origins=origins, allow_methods=_METHODS, allow_headers=["*"], expose_headers=_EXPOSED, max_age=600
    )
