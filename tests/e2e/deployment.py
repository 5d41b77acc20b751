"""The server for end-to-end clients: one process for all network transports, and the command line for stdio.

Owns its addresses and the directories in its root. Knows no client.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Literal

from tests.support.envelopes import LATEST_HANDSHAKE, STATELESS
from tests.support.processes import LOOPBACK, NO_STORE, command, environment, http_server

DIALOGUE_CONFIG = Path(__file__).with_name("dialogue_plugin.yaml")

Transport = Literal["stdio", "http", "sse", "websocket"]
Era = Literal["handshake", "stateless"]

REVISIONS: Mapping[Era, str] = {"handshake": LATEST_HANDSHAKE, "stateless": STATELESS}
"""The revision that a current client negotiates in each era."""


@dataclass(frozen=True)
class Deployment:
    """A server on every network transport; `root` is its directory and only file root, `home` is for its clients."""

    root: Path
    home: Path
    port: int
    variables: Mapping[str, str]
    _numbers: Iterator[int] = field(default_factory=count)

    def url(self, transport: Transport) -> str:
        """Return the URL of a network transport."""
        scheme, path = {"http": ("http", "mcp"), "sse": ("http", "sse"), "websocket": ("ws", "ws")}[transport]
        return f"{scheme}://{LOOPBACK}:{self.port}/{path}"

    @property
    def stdio_line(self) -> list[str]:
        """The command line that starts an equivalent server on stdio; it must run in `root`."""
        return [*command(), "serve", "--transport", "stdio", "--config", str(DIALOGUE_CONFIG)]

    @property
    def stdio_variables(self) -> dict[str, str]:
        """The environment variables that `stdio_line` needs besides those that every host passes on."""
        path = environment().get("PYTHONPATH")
        return {**NO_STORE, **self.variables, **({} if path is None else {"PYTHONPATH": path})}

    def folder(self, purpose: str) -> Path:
        """Return a new, empty directory in the root."""
        path = self.root / f"{purpose}-{next(self._numbers)}"
        path.mkdir()
        return path


@contextmanager
def deployed(directory: Path, variables: Mapping[str, str]) -> Iterator[Deployment]:
    """Serve every network transport until the end of the block; all files are in `directory`."""
    root, home = directory / "root", directory / "home"
    root.mkdir()
    home.mkdir()
    with http_server(DIALOGUE_CONFIG, directory=root, variables=variables) as server:
        yield Deployment(root, home, server.port, variables)
