"""Values of Host and Origin that a server on the loopback interface must accept or refuse.

`{port}` is a placeholder for the server's port, `{other}` for another port. Knows no path and no method.
"""

from tests.support.processes import HttpServer

EVIL = "http://evil.example"

TRUSTED_ORIGINS = (
    "http://127.0.0.1:{port}",
    "http://localhost:{port}",
    "http://[::1]:{port}",
    "HTTP://LocalHost:{port}",
)
REFUSED_ORIGINS = (
    "null",
    "",
    EVIL,
    "http://evil.example:{port}",
    "http://127.0.0.1",
    "http://127.0.0.1:{other}",
    "http://localhost:{other}",
    "https://127.0.0.1:{port}",
    "ftp://127.0.0.1:{port}",
    "ws://127.0.0.1:{port}",
    "file://",
    "127.0.0.1:{port}",
    "//127.0.0.1:{port}",
    "http://127.0.0.1:{port}@evil.example",
    "http://evil.example@127.0.0.1:{port}",
    "http://user:secret@localhost:{port}",
    "http://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}/mcp",
    "http://127.0.0.1:{port}?",
    "http://127.0.0.1:{port}#evil",
    "http://127.0.0.1:{port}.evil.example",
    "http://127.0.0.1.evil.example:{port}",
    "http://localhost.evil.example:{port}",
    "http://localhost.:{port}",
    "http://evil.localhost:{port}",
    "http://0.0.0.0:{port}",
    "http://127.1:{port}",
    "http://2130706433:{port}",
    "http://[::ffff:127.0.0.1]:{port}",
    "http://[::1:{port}",
    "http://127.0.0.1:{port} http://evil.example",
    "http://127.0.0.1:{port}, http://evil.example",
    "http://evil.example\\@127.0.0.1:{port}",
)
SERVED_HOSTS = (
    "127.0.0.1:{port}",
    "127.0.0.1",
    "localhost:{port}",
    "localhost",
    "[::1]:{port}",
    "[::1]",
    "LOCALHOST:{port}",
)
REFUSED_HOSTS = (
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1.evil.example",
    "localhost.evil.example:{port}",
    "evil.localhost",
    "localhost@evil.example",
    "evil.example@localhost:{port}",
    "0.0.0.0:{port}",
    "127.1:{port}",
    "2130706433",
    "192.168.0.1:{port}",
    "::1",
    "[::1",
    "[::2]:{port}",
    "127.0.0.1:{port}.evil.example",
    "127.0.0.1:port",
)


def filled(template: str, server: HttpServer) -> str:
    """Return a Host or Origin with its placeholders replaced for this server."""
    return template.replace("{port}", str(server.port)).replace("{other}", str(server.port + 1))
