"""The ports of the gate: where keys are kept, what checks tokens, counters of calls, and the audit log."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from tfo_mcp.domain.access import Caller
from tfo_mcp.domain.keys import ApiKey
from tfo_mcp.domain.rates import Admission, Rate

Decision = Literal["allowed", "refused"]


class KeyStore(Protocol):
    """Keeps what there is to know of API keys."""

    async def get(self, key_id: str) -> ApiKey | None:
        """Return the key of that id, as of less than a second ago."""

    async def list(self) -> Sequence[ApiKey]:
        """Return all keys, those that are no longer good included, in the order in which they were made."""

    async def put(self, key: ApiKey) -> None:
        """Keep a key, or what has changed of it."""


class TokenVerifier(Protocol):
    """Checks the tokens of an authorization server."""

    async def verify(self, token: str, network: str) -> Caller:
        """Return the caller of a token that comes from a network.

        Raises:
            Unauthenticated: the token is not good, or not for this server.
            RateLimited: too many tokens with wrong signatures came from the network.
        """


class RateStore(Protocol):
    """Counts what comes, under any names."""

    async def take(self, name: str, rate: Rate, cost: int = 1) -> Admission:
        """Count so many more under a name if its rate lets them through; with a cost of 0, only look."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One decision: what was asked, by whom, from where, how it was decided and why; sizes in bytes.

    `arguments` are the names of a call's arguments, `digest` a keyed hash of their values, which it does not show.
    `count` is the number of like decisions that a summed entry stands for; its address is then their network.
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
    """Keeps decisions, in order; may keep the number of like ones instead of each."""

    def write(self, entry: AuditEntry) -> bool:
        """Keep an entry before this returns, and return whether that was possible."""
