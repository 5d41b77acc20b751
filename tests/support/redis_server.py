"""A real Redis: started on a free port in a directory of its own, ended by its process id.

Owns the process and its port. Knows neither keys nor the product.
"""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.deadlines import PATIENCE, wait_until
from tests.support.processes import LOOPBACK, Child, free_port
from tests.support.programs import await_connection, path_of, program


@dataclass
class RedisServer:
    """A running Redis, which `kill` and `restart` may replace by another on the same port."""

    port: int
    directory: Path
    options: tuple[str, ...] = ()
    child: Child | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        """The URL of its first database."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    @property
    def line(self) -> list[str]:
        """The command line."""
        own = ["--port", str(self.port), "--bind", LOOPBACK, "--dir", str(self.directory), "--save", ""]
        return [path_of("redis-server"), *own, *self.options]

    def command(self, *words: str) -> bytes:
        """Send one command and return the raw answer, up to 64 KiB."""
        request = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w.encode()), w.encode()) for w in words)
        with socket.create_connection((LOOPBACK, self.port), PATIENCE) as connection:
            connection.sendall(request)
            return connection.recv(65536)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        assert self.child is not None
        os.kill(self.child.pid, signal.SIGKILL)
        self.child.process.wait(PATIENCE)

    @contextmanager
    def running(self) -> Iterator["RedisServer"]:
        """Run it until the end of the block."""
        with program(self.line, self.directory) as self.child:
            await_connection(self.child, self.port)
            wait_until(lambda: self.command("PING").startswith((b"+PONG", b"-NOAUTH")), "Redis answers")
            yield self


@contextmanager
def redis_server(*options: str) -> Iterator[RedisServer]:
    """Run a Redis without persistence, with these options of its command line, until the end of the block.

    Raises:
        StartError: redis-server is not installed, or does not begin to listen.
    """
    with TemporaryDirectory() as directory, RedisServer(free_port(), Path(directory), options).running() as server:
        yield server
