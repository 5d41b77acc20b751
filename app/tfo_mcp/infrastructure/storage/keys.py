"""SqlKeyStore: the KeyStore in a database.

Keeps all keys in memory, and fetches the changed ones when its knowledge is older than half a second: with one
statement, whatever the number of callers. Callers with a known key do not wait for a slow database. Must not know the
texts of keys.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

import anyio
from sqlalchemy import Connection, RowMapping, insert, select, update
from sqlalchemy.exc import IntegrityError

from tfo_mcp.application.event_records import EventRecords
from tfo_mcp.domain.errors import Conflict, StorageUnavailable
from tfo_mcp.domain.events import DomainEvent
from tfo_mcp.domain.keys import ApiKey
from tfo_mcp.infrastructure.storage.database import Database
from tfo_mcp.infrastructure.storage.outbox import insert_events
from tfo_mcp.infrastructure.storage.tables import api_keys, key_changes

_LOOK_SECONDS = 0.5
_PATIENCE_SECONDS = 0.1  # of callers with a known key, from the start of a look


class SqlKeyStore:
    """The keys in a database.

    Args:
        records: makes the records of events; None if the outbox is not in the database.
    """

    def __init__(
        self, database: Database, records: EventRecords | None = None, clock: Callable[[], float] = monotonic
    ) -> None:
        self._database = database
        self._records = records
        self._clock = clock
        self._keys: dict[str, ApiKey] = {}
        self._change = 0
        self._looked = float("-inf")
        self._looking = anyio.Lock()
        self._refreshing: asyncio.Task[None] | None = None
        self._refreshed = float("-inf")

    async def get(self, key_id: str) -> ApiKey | None:
        """Return the key with that id; an unknown id makes the database be asked at once, since the key may be new."""
        if key_id in self._keys:
            await self._refresh()
        else:
            await self._look(at_once=True)
        return self._keys.get(key_id)

    async def list(self) -> Sequence[ApiKey]:
        """Return all keys, oldest first."""
        await self._look(at_once=True)
        return sorted(self._keys.values(), key=lambda key: key.created)

    async def put(self, *keys: ApiKey, events: Sequence[DomainEvent] = ()) -> None:
        """Store keys, and the events of their changes, in one transaction."""
        recorded = () if self._records is None else self._records.of_all(events)

        def change(connection: Connection) -> None:
            increment = update(key_changes).values(last=key_changes.c.last + 1).returning(key_changes.c.last)
            number = connection.execute(increment).scalar_one()
            for key in keys:
                _store(connection, key, number)
            insert_events(recorded, connection)

        try:
            await self._database.write(change)
        except IntegrityError:
            raise Conflict from None
        finally:
            self._looked = float("-inf")

    def works(self) -> bool:
        """Return whether the database can be used."""
        return self._database.works()

    async def _refresh(self) -> None:
        """Fetch the changes if it is time; wait for them, unless the database is slow or known to fail."""
        now = self._clock()
        if now - self._looked < _LOOK_SECONDS:
            return
        if self._refreshing is None or self._refreshing.done():
            self._refreshing, self._refreshed = asyncio.create_task(self._look_if_possible()), now
        if self._database.works():
            await asyncio.wait({self._refreshing}, timeout=max(0.0, self._refreshed + _PATIENCE_SECONDS - now))

    async def _look_if_possible(self) -> None:
        with suppress(StorageUnavailable):
            await self._look(at_once=False)

    async def _look(self, *, at_once: bool) -> None:
        """Fetch the changes, unless that was done a moment ago; callers at the same time share one statement."""
        asked = self._clock()
        if asked - self._looked < _LOOK_SECONDS and not at_once:
            return
        async with self._looking:
            if self._looked >= asked:
                return
            started = self._clock()
            for row in await self._database.rows(select(api_keys).where(api_keys.c.change > self._change)):
                self._keys[row["id"]] = _key(row)
                self._change = max(self._change, row["change"])
            self._looked = started


def _store(connection: Connection, key: ApiKey, change: int) -> None:
    values = {**_row(key), "version": key.version + 1, "change": change}
    if key.version == 0:
        connection.execute(insert(api_keys).values(values))
        return
    stored = update(api_keys).where(api_keys.c.id == key.id, api_keys.c.version == key.version).values(values)
    if connection.execute(stored).rowcount != 1:
        raise Conflict


def _row(key: ApiKey) -> Mapping[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "principal": key.principal,
        "digest": key.digest,
        "scopes": sorted(key.scopes),
        "created": key.created,
        "expires": key.expires,
        "revoked": key.revoked,
    }


def _key(row: RowMapping) -> ApiKey:
    return ApiKey(
        id=row["id"],
        name=row["name"],
        principal=row["principal"],
        digest=row["digest"],
        scopes=frozenset(row["scopes"]),
        created=row["created"],
        expires=row["expires"],
        revoked=row["revoked"],
        version=row["version"],
    )
