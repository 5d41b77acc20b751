"""Cross-origin requests (CORS), for the pages of the origins that are configured, and nobody else's."""

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
    """Return the application that answers preflights of these origins and lets them read its answers.

    Every header may be sent, since tools name some of their own; cookies are none of them.
    """
    return CORSMiddleware(
        app, allow_origins=origins, allow_methods=_METHODS, allow_headers=["*"], expose_headers=_EXPOSED, max_age=600
    )
