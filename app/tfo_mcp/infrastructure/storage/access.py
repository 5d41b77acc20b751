"""Access to a database without an event loop of one's own, at the start and on the command line: checks, migrations.

The work runs in a thread with its own event loop, since the caller may be in one that must not be shared with it.
"""

import asyncio
import threading
from collections.abc import Callable

from sqlalchemy import Connection

from tfo_mcp.infrastructure.storage.database import Database, Transactions
from tfo_mcp.infrastructure.storage.failures import failures, is_outage, reason_of
from tfo_mcp.infrastructure.storage.schema import SchemaState, downgrade, state_of, upgrade
from tfo_mcp.value_objects import value_object


class AccessError(Exception):
    """The database cannot be used. The message is for operators; after an outage (`is_outage`) it may come back."""

    def __init__(self, problem: BaseException) -> None:
        super().__init__(reason_of(problem))
        self.is_outage = is_outage(problem)


@value_object
class StorageAccess:
    """Opens a database; `transactions` connects to it, for one event loop.

    Raises:
        AccessError: from each method but `open`.
    """

    transactions: Callable[[], Transactions]
    timeout_seconds: float

    def state(self) -> SchemaState:
        """Return the state of the schema."""
        return self._run(state_of, self.timeout_seconds)

    def upgrade(self) -> SchemaState:
        """Migrate to the latest revision, however long that takes; return the new state."""
        return self._run(upgrade)

    def downgrade(self) -> SchemaState:
        """Undo the latest revision, with all data of its tables; return the new state."""
        return self._run(downgrade)

    def open(self, *, schema_is_known: bool) -> Database:
        """Return the database for the event loop that uses it first."""
        return Database(self.transactions(), self.timeout_seconds, schema_is_known=schema_is_known)

    def _run(self, work: Callable[[Connection], SchemaState], timeout_seconds: float | None = None) -> SchemaState:
        outcome: list[SchemaState | AccessError] = []

        def run() -> None:
            outcome.append(asyncio.run(self._outcome(work, timeout_seconds)))

        thread = threading.Thread(target=run, name="storage")
        thread.start()
        thread.join()
        (result,) = outcome
        if isinstance(result, AccessError):
            raise result
        return result

    async def _outcome(
        self, work: Callable[[Connection], SchemaState], timeout_seconds: float | None
    ) -> SchemaState | AccessError:
        transactions = self.transactions()
        try:
            async with asyncio.timeout(timeout_seconds):
                return await transactions.run(work, changes=timeout_seconds is None)
        except failures() as problem:
            return AccessError(problem)
        finally:
            await transactions.aclose()
