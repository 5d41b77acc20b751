"""What the protocols of a connection and the application say to each other beyond ASGI, by the state of the scope.

The protocols put it there; other ASGI servers do not, and are done without. Knows no credentials and no message.
"""

from collections.abc import Callable

from starlette.types import Scope

_AUTHENTICATED = "tfo_mcp.authenticated"
_ON_LOST = "tfo_mcp.on_lost"


def reserved_state(authenticated: Callable[[], bool]) -> dict[str, object]:
    """Return the state of a request in the reserve: `authenticated` tells whether its caller may go on."""
    return {_AUTHENTICATED: authenticated}


def may_go_on(scope: Scope) -> bool:
    """Return whether a request may go on whose caller has just authenticated; it may unless the reserve is full."""
    authenticated = scope.get("state", {}).get(_AUTHENTICATED)
    return authenticated is None or authenticated()


def losing_state(on_lost: list[Callable[[], None]]) -> dict[str, object]:
    """Return the state of a connection that calls all of `on_lost` when it has ended."""
    return {_ON_LOST: on_lost}


def when_lost(scope: Scope, act: Callable[[], None]) -> None:
    """Call `act` when the connection has ended, even while nothing is received from it."""
    on_lost = scope.get("state", {}).get(_ON_LOST)
    if on_lost is not None:
        on_lost.append(act)
