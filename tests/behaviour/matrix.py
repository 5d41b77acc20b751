"""The matrix of transports and revisions that behaviour tests run over.

`over(...)` runs a test once for each pair, with the fixtures `conversation`, `bare`, `service` or `place` of that
pair. A transport added to `tests.support.services` is included automatically. Against replicas (`make replicas`) the
transports are Streamable HTTP and HTTP+SSE: the others have a process of their own.
"""

from dataclasses import dataclass

import pytest

from tests.support.balanced import REPLICAS
from tests.support.envelopes import HANDSHAKE_REVISIONS, LATEST_HANDSHAKE, STATELESS
from tests.support.services import TRANSPORTS

REVISIONS = (*HANDSHAKE_REVISIONS, STATELESS)
FEW = (LATEST_HANDSHAKE, STATELESS)
"""One revision of each era, for behaviours that do not differ within an era."""

BY_PROXY = pytest.mark.one_process("nginx answers or rewrites this itself")
ONE_PROCESS = pytest.mark.one_process
REGISTERS_LOCALLY = ONE_PROCESS("what a plugin registers while it runs is in its process only")

BALANCED = ("http", "sse")
"""Transports whose requests may reach any replica."""
NETWORK = ("http", "websocket", "sse")
LOCAL = ("stdio", "unix")
"""Transports whose clients count as the owner of the process; their frames are lines."""
CONNECTIONS = (*LOCAL, "websocket", "sse")
"""Transports whose connection represents one client: its messages share one channel and end with it."""
CROWDED = ("unix", *NETWORK)
"""Transports on which one process serves several clients."""


@dataclass(frozen=True)
class Place:
    """A transport and a revision."""

    transport: str
    revision: str

    def __str__(self) -> str:
        """Name the place in a test's id."""
        return f"{self.transport}-{self.revision}"


def over(*revisions: str, transports: tuple[str, ...] = tuple(TRANSPORTS)) -> pytest.MarkDecorator:
    """Run a test over these revisions, each over these transports."""
    served = [transport for transport in transports if REPLICAS == 1 or transport in BALANCED]
    places = [Place(transport, revision) for transport in served for revision in revisions]
    return pytest.mark.parametrize("place", places, ids=str)


def since(revision: str) -> tuple[str, ...]:
    """Return that revision and all later ones."""
    return tuple(known for known in REVISIONS if known >= revision)


def before(revision: str) -> tuple[str, ...]:
    """Return all revisions earlier than that one."""
    return tuple(known for known in REVISIONS if known < revision)
