"""The playground: a page to try the server in a browser, over WebSocket.

Owns how the page's files are served: from this package, with a content security policy that allows the page to load
from and connect to this server only. The files themselves implement the page.
"""

from collections.abc import Callable, Mapping
from importlib.resources import files
from urllib.parse import quote

from starlette.types import Receive, Scope, Send

from tfo_mcp_transports.network.responses import answer, refuse

_PAGE = "index.html"
_HIDDEN_TOOLS = "hidden-tools.json"
_TYPES: Mapping[str, bytes] = {
    "html": b"text/html; charset=utf-8",
    "css": b"text/css; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "svg": b"image/svg+xml",
    "json": b"application/json",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src data:; "
    "connect-src 'self' ws://{host} wss://{host}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"cache-control", b"no-cache"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Playground:
    """Serves the page and its files.

    Args:
        elsewhere: says where messages are served, for clients that send them here.
        hidden_tools: returns the number of tools that callers without a key do not see.
    """

    def __init__(self, elsewhere: str, hidden_tools: Callable[[], int]) -> None:
        self._elsewhere = elsewhere
        self._hidden_tools = hidden_tools
        self._files = {
            entry.name: entry.read_bytes()
            for entry in files(__package__).iterdir()
            if entry.name.rpartition(".")[2] in _TYPES
        }

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer GET and HEAD."""
        if scope["method"] not in ("GET", "HEAD"):
            await refuse(send, 405, f"Use GET for this page: {self._elsewhere}", [(b"allow", b"GET, HEAD")])
            return
        if "name" not in scope["path_params"] and not scope.get("raw_path", b"/").endswith(b"/"):
            await _add_slash(scope, send)
            return
        name = scope["path_params"].get("name", _PAGE)
        content = str(self._hidden_tools()).encode() if name == _HIDDEN_TOOLS else self._files.get(name)
        if content is None:
            await refuse(send, 404, "The page has no such file")
            return
        host = dict(scope["headers"])[b"host"].decode("latin-1")
        headers = [*_HEADERS, (b"content-security-policy", _POLICY.format(host=host).encode("latin-1"))]
        await answer(send, 200, content, _TYPES[name.rpartition(".")[2]], headers)


async def _add_slash(scope: Scope, send: Send) -> None:
    """Redirect from a path prefix to the page beneath it, which the page's relative URLs need."""
    name = scope.get("root_path", "").rpartition("/")[2]
    await answer(send, 307, b"", _TYPES["html"], [(b"location", f"./{quote(name)}/".encode())])
