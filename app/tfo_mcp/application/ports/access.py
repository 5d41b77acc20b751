"""The security ports: API key storage, token verification, rate counters and the audit log."""

from collections.abc import Sequence
from typing import Literal, Protocol

from tfo_mcp.domain.access import Caller
from tfo_mcp.domain.events import DomainEvent
from tfo_mcp.domain.keys import ApiKey
from tfo_mcp.domain.rates import Admission, Rate
from tfo_mcp.value_objects import value_object

Decision = Literal["allowed", "refused"]


class KeyStore(Protocol):
    """Stores API keys, without their texts."""

    async def get(self, key_id: str) -> ApiKey | None:
        """Return the key with an id, None if there is none; at most one second stale.

        While the store cannot be read, the last known keys stay in force.

        Raises:
            StorageUnavailable: the key is not known, and the store cannot be read.
        """

    async def list(self) -> Sequence[ApiKey]:
        """Return all keys in order of creation, including revoked and expired ones.

        Raises:
            StorageUnavailable: the store cannot be read.
        """

    async def put(self, *keys: ApiKey, events: Sequence[DomainEvent] = ()) -> None:
        """Add or update keys: all of them, or none if that fails.

        A store in a database records the events of the changes in the same transaction.

        Raises:
            Conflict: the version of one is not the stored one, or a new one exists already.
            StorageUnavailable: the store cannot be written.
        """

    def works(self) -> bool:
        """Return whether keys can be read; checked for readiness."""


class TokenVerifier(Protocol):
    """Verifies access tokens of an authorization server."""

    async def verify(self, token: str, network: str) -> Caller:
        """Return the caller of a token; `network` is the client's network, for rate limiting.

        Raises:
            Unauthenticated: the token is invalid or was issued for another server.
            RateLimited: the network has sent too many tokens with invalid signatures.
        """

    def works(self) -> bool:
        """Return whether tokens can be verified; checked for readiness."""

    async def aclose(self) -> None:
        """Close connections."""


class RateStore(Protocol):
    """Rate limiter with named counters."""

    async def take(self, name: str, rate: Rate, cost: int = 1) -> Admission:
        """Take `cost` units from a named counter if its rate allows it; a cost of 0 only reads the counter."""


@value_object
class AuditEntry:
    """One audited decision; sizes in bytes.

    `arguments` are the names of a call's arguments; `digest` is a keyed hash of the arguments, which does not reveal
    the values. `count` is set for an entry that summarizes similar decisions; its address is then their network.
    """

    event: str
    decision: Decision
    caller: str
    method: str
    transport: str
    address: str | None = None
    key_id: str | None = None
    name: str | None = None
    reason: str | None = None
    outcome: str | None = None
    seconds: float | None = None
    request_bytes: int | None = None
    result_bytes: int | None = None
    arguments: Sequence[str] = ()
    digest: str | None = None
    count: int | None = None


class AuditLog(Protocol):
    """Stores decisions in order; may summarize many similar ones in one entry."""

    def write(self, entry: AuditEntry) -> bool:
        """Write an entry synchronously and return whether it succeeded."""

    def works(self) -> bool:
        """Return whether entries can be written; checked for readiness."""

    def close(self) -> None:
        """Write pending entries and close the log."""
