"""SqlRateStore: counters that outlive the process and count for all that share the database, such as daily quotas.

Each change is a transaction, so this store is for what is counted seldom and must not begin again after a restart.
"""

from sqlalchemy import Connection, select, update

from tfo_mcp.domain.rates import Admission, Rate, admit
from tfo_mcp.infrastructure.storage.database import Database
from tfo_mcp.infrastructure.storage.tables import DatabaseTime, quotas
from tfo_mcp.infrastructure.storage.upserts import upsert


class SqlRateStore:
    """Counters in a database, by its clock."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, name: str, rate: Rate, cost: int = 1) -> Admission:
        """Consume `cost` from a counter if the rate allows it, and return the decision; a cost of 0 only reads it.

        Raises:
            StorageUnavailable: the database cannot be used.
        """
        found = select(quotas.c.full_at, DatabaseTime().label("now")).where(quotas.c.name == name)

        def read(connection: Connection) -> Admission:
            row = connection.execute(found).one_or_none()
            full_at, now = (0.0, 0.0) if row is None else row
            return admit(rate, full_at, now, 0)[0]

        def change(connection: Connection) -> Admission:
            connection.execute(upsert(connection, quotas), {"name": name, "full_at": 0.0})
            full_at, now = connection.execute(found.with_for_update()).one()
            admission, full_at = admit(rate, full_at, now, cost)
            connection.execute(update(quotas).where(quotas.c.name == name).values(full_at=full_at))
            return admission

        return await (self._database.write(change) if cost else self._database.read(read))
