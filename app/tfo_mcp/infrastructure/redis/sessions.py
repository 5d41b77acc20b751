"""RedisSessionStore: sessions that any replica can load, and their numbers across replicas.

A session with its own connection ends with it, so it stays in this process; only its number is shared. Must not know
transports or clients.
"""

from collections import Counter
from collections.abc import Sequence

from pydantic_core import from_json, to_json

from tfo_mcp.application.ports import Room, SessionStore
from tfo_mcp.domain.accounts import is_anonymous
from tfo_mcp.domain.errors import Conflict, SessionNotFound, StateUnavailable
from tfo_mcp.domain.events import DomainEvent
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.domain.session import Session
from tfo_mcp.infrastructure.redis.client import RedisClient
from tfo_mcp.infrastructure.redis.replicas import ALL, Replicas

_REAPED_AT_ONCE = 1000


class RedisSessionStore:
    """Sessions in Redis, each with its idle time as expiry.

    Args:
        local: stores the sessions with their own connection.
        idle_seconds: the idle time after which a session expires.
    """

    def __init__(self, client: RedisClient, replicas: Replicas, local: SessionStore, idle_seconds: float) -> None:
        self._client = client
        self._replicas = replicas
        self._local = local
        self._idle_ms = int(idle_seconds * 1000)
        self._standing: dict[SessionId, str] = {}  # the accounts of the sessions with their own connection
        self._standing_of: Counter[str] = Counter()
        replicas.report_standing(lambda: self._standing_of)

    async def get(self, session_id: SessionId) -> Session | None:
        """Return the session and restart its idle time; None if it is unknown or expired."""
        local = await self._local.get(session_id)
        if local is not None:
            return local
        document = await self._client.run("session_get", session_id, self._idle_ms)
        return Session.from_document(from_json(document)) if document else None

    async def add(self, session: Session, per_account: int, total: int) -> Room:
        """Store a new session if the limits of its account and of all replicas allow it.

        While Redis is down, a session with its own connection is limited to this process's share.
        """
        if session.standing:
            async with self._replicas.telling:
                return await self._add_standing(session, per_account, total)
        room = await self._room(session, self._document(session, 1), per_account, total, self._standing_of)
        if room is Room.FREE:
            session.edition = 1
        return room

    async def put(self, session: Session) -> None:
        """Store the session's current state and restart its idle time."""
        if session.standing:
            self._keep(session)
            await self._local.put(session)
            return
        stored = await self._client.run(
            *("session_put", session.id, session.account, _flag(session.account)),
            *(self._document(session, session.edition + 1), self._idle_ms, session.edition),
        )
        if stored == 0:
            raise Conflict
        if stored < 0:
            raise SessionNotFound
        session.edition += 1

    async def delete(self, session_id: SessionId, _events: Sequence[DomainEvent] = ()) -> None:
        """Remove the session; a no-op if it is unknown."""
        local = await self._local.get(session_id)
        if local is None:
            await self._client.run("session_delete", session_id)
            return
        await self._local.delete(session_id)
        self._drop(session_id)
        await self._replicas.tell_standing(local.account)

    async def count(self, account: str | None = None) -> int:
        """Return the number of sessions of all replicas, of one account if given."""
        elsewhere = await self._client.run("session_count", ALL if account is None else account, self._replicas.own)
        return int(elsewhere) + await self._local.count(account)

    async def largest_account(self, *, anonymous: bool) -> str | None:
        """Return the account with the most sessions that can be ended; None without any."""
        found = await self._client.run("session_largest", "anonymous" if anonymous else "all")
        return None if found is None else str(found, "utf-8")

    async def oldest_idle(self, account: str, limit: int) -> Sequence[SessionId]:
        """Return up to `limit` sessions of an account that have no connection, longest idle first."""
        found = await self._client.run("session_oldest", account, limit)
        return [SessionId(str(identifier, "ascii")) for identifier in found]

    async def reap(self) -> Sequence[SessionId]:
        """Remove the expired sessions and return their ids, each to one replica; none while Redis is down."""
        reaped = list(await self._local.reap())
        for session_id in reaped:
            self._drop(session_id)
        try:
            expired = await self._client.run("session_reap", self._idle_ms, _REAPED_AT_ONCE)
        except StateUnavailable:
            return reaped
        return [*reaped, *(SessionId(str(identifier, "ascii")) for identifier in expired)]

    async def _add_standing(self, session: Session, per_account: int, total: int) -> Room:
        own = self._standing_of.copy()
        self._keep(session)  # at once, so that others that are added meanwhile see it
        try:
            room = await self._room(session, "", per_account, total, own)
        except StateUnavailable:
            room = self._local_room(session, per_account, total)
        except BaseException:  # its client has left
            self._drop(session.id)
            raise
        if room is Room.FREE:
            await self._local.put(session)
        else:
            self._drop(session.id)
        return room

    async def _room(
        self, session: Session, document: str | bytes, per_account: int, total: int, own: Counter[str]
    ) -> Room:
        account = session.account
        found = await self._client.run(
            *("session_add", session.id, account, _flag(account), document, self._idle_ms, self._replicas.own),
            *(per_account, total, own[account], own.total()),
        )
        return Room(str(found, "ascii"))

    def _local_room(self, session: Session, per_account: int, total: int) -> Room:
        share = self._replicas.count
        if self._standing_of[session.account] > max(1, per_account // share):
            return Room.ACCOUNT
        return Room.TOTAL if self._standing_of.total() > max(1, total // share) else Room.FREE

    def _keep(self, session: Session) -> None:
        if session.id not in self._standing:
            self._standing[session.id] = session.account
            self._standing_of[session.account] += 1

    def _drop(self, session_id: SessionId) -> None:
        account = self._standing.pop(session_id, None)
        if account is not None:
            self._standing_of[account] -= 1
            if not self._standing_of[account]:
                del self._standing_of[account]

    @staticmethod
    def _document(session: Session, edition: int) -> bytes:
        return to_json({**session.document(), "edition": edition, "anonymous": _flag(session.account)})


def _flag(account: str) -> str:
    return "1" if is_anonymous(account) else "0"
