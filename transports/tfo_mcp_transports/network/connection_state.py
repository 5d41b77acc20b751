"""Callbacks that uvicorn's protocols pass to the application in the `state` of the ASGI scope.

Other ASGI servers do not provide them; then the functions here fall back to a no-op. Knows no credentials and no
message.
"""

from collections.abc import Callable

from starlette.types import Scope

_AUTHENTICATED = "tfo_mcp.authenticated"
_ON_LOST = "tfo_mcp.on_lost"


def reserved_state(authenticated: Callable[[], bool]) -> dict[str, object]:
    """Return the scope state of a request on a reserve connection.

    Args:
        authenticated: called when the caller has authenticated; returns whether the request may proceed.
    """
    return {_AUTHENTICATED: authenticated}


def may_go_on(scope: Scope) -> bool:
    """Report that the caller of a request has authenticated; return False if the reserve has no place for it."""
    authenticated = scope.get("state", {}).get(_AUTHENTICATED)
    return authenticated is None or authenticated()


def losing_state(on_lost: list[Callable[[], None]]) -> dict[str, object]:
    """Return the scope state of a connection that calls each callback in `on_lost` when it has ended."""
    return {_ON_LOST: on_lost}


def when_lost(scope: Scope, act: Callable[[], None]) -> None:
    """Register `act` to be called when the connection has ended, even while the application does not receive."""
    on_lost = scope.get("state", {}).get(_ON_LOST)
    if on_lost is not None:
        on_lost.append(act)
