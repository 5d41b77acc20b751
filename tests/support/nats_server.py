"""A real NATS server with JetStream: started on a free port in a directory of its own, ended by its process id.

Owns the process, its port and its store. Knows neither subjects nor the product.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.deadlines import PATIENCE
from tests.support.processes import LOOPBACK, Child, free_port
from tests.support.programs import await_connection, program

_SERVER = Path(sys.executable).with_name("nats-server")


@dataclass
class NatsServer:
    """A running NATS server, which `kill` and `running` may replace by another on the same port and store."""

    port: int
    directory: Path
    options: tuple[str, ...] = ()
    child: Child | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        """The URL for clients."""
        return f"nats://{LOOPBACK}:{self.port}"

    def kill(self) -> None:
        """End it at once, as a crash does."""
        assert self.child is not None
        os.kill(self.child.pid, signal.SIGKILL)
        self.child.process.wait(PATIENCE)

    @contextmanager
    def running(self) -> Iterator["NatsServer"]:
        """Run it until the end of the block; its store remains."""
        own = ["--jetstream", "--store_dir", str(self.directory), "--addr", LOOPBACK, "--port", str(self.port)]
        with program([str(_SERVER), *own, *self.options], self.directory) as self.child:
            await_connection(self.child, self.port)
            yield self


@contextmanager
def nats_server(*options: str) -> Iterator[NatsServer]:
    """Run a NATS server with JetStream and these options of its command line until the end of the block."""
    with TemporaryDirectory() as directory, NatsServer(free_port(), Path(directory), options).running() as server:
        yield server
