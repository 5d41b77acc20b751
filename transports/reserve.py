"""The reserve of connections: how a request that uses it is told apart once its caller has authenticated.

The protocols put a function into the request's scope; whoever authenticates calls it. Knows no credentials.
"""

from collections.abc import Callable

from starlette.types import Scope

_KEY = "tfo_mcp.authenticated"


def reserved_state(authenticated: Callable[[], bool]) -> dict[str, object]:
    """Return what the state of a request in the reserve has: `authenticated` tells whether its caller may go on."""
    return {_KEY: authenticated}


def may_go_on(scope: Scope) -> bool:
    """Return whether a request may go on whose caller has just authenticated; it may unless the reserve is full."""
    authenticated = scope.get("state", {}).get(_KEY)
    return authenticated is None or authenticated()
