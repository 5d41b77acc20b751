"""Maintenance: the periodic work on a database, and finding out whether an outage is over. Knows no table but one."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic

import anyio
from sqlalchemy import select, update

from tfo_mcp.domain.errors import StorageUnavailable
from tfo_mcp.infrastructure.storage.database import Database
from tfo_mcp.infrastructure.storage.tables import key_changes
from tfo_mcp.value_objects import value_object

_TURN_SECONDS = 0.5


@value_object
class Periodic:
    """A piece of work on the database, and the seconds between two runs; `at_end` runs it at the end, too."""

    seconds: float
    run: Callable[[], Awaitable[object]]
    at_end: bool = False


class Maintenance:
    """Runs while the server runs, and is closed last."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._work: list[Periodic] = []
        self._last: list[float] = []

    def add(self, *work: Periodic) -> None:
        """Do this work, too; its first run is at the next turn."""
        self._work += work
        self._last += [float("-inf")] * len(work)

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            with suppress(StorageUnavailable):
                await self._probe()
            for number, each in enumerate(self._work):
                if monotonic() - self._last[number] >= each.seconds:
                    with suppress(StorageUnavailable):
                        await each.run()
                        self._last[number] = monotonic()
            await anyio.sleep(min((_TURN_SECONDS, *(each.seconds for each in self._work if each.seconds))))

    async def aclose(self) -> None:
        """Write what is to be written, and close the database."""
        for each in self._work:
            if each.at_end:
                with suppress(StorageUnavailable):
                    await each.run()
        await self._database.aclose()

    async def _probe(self) -> None:
        """After a failure, try to read and to write.

        Raises:
            StorageUnavailable: one of both fails.
        """
        if not self._database.works():
            await self._database.rows(select(key_changes))
            await self._database.execute(update(key_changes).values(last=key_changes.c.last))
