"""The path prefix beneath which clients find the server: its root path, as ASGI calls it.

Owns the composition of the setting `server.base_path` with the root path that a mounting application or a trusted proxy
(proxy_headers) has named. Routing, relative links and the URLs in challenges read only the root path.
"""

from starlette.types import ASGIApp, Receive, Scope, Send


class PathPrefix:
    """Serves an application beneath a path prefix.

    A request has the prefix in its path, or has lost it to a proxy that removes it: both reach the same route. A root
    path that ends with the prefix already names it.

    Args:
        app: the wrapped application.
        base_path: the prefix, such as `/tools`, without a slash at its end.
    """

    def __init__(self, app: ASGIApp, base_path: str) -> None:
        self._app = app
        self._base_path = base_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its root path, which its path begins with."""
        if scope["type"] != "lifespan":
            outer: str = scope.get("root_path", "")
            path: str = scope["path"].removeprefix(outer)
            has_prefix = path == self._base_path or path.startswith(f"{self._base_path}/")
            is_named = outer.endswith(self._base_path) if has_prefix else bool(outer)
            root = outer if is_named else outer + self._base_path
            inner = path.removeprefix(self._base_path) if has_prefix else path
            scope = {**scope, "root_path": root, "path": root + inner}
        await self._app(scope, receive, send)
