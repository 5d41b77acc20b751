"""Transactions on a PostgreSQL database: on a few connections, each in a task."""

from collections.abc import Callable
from typing import Any, TypeVar

import asyncpg
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

ResultT = TypeVar("ResultT")
_CONNECTIONS = 5


class PostgresTransactions:
    """Runs work on a database.

    Args:
        dsn: its URL in the form of libpq.
        timeout_seconds: how long to wait for a connection.
    """

    def __init__(self, dsn: str, timeout_seconds: float) -> None:
        async def connect() -> Any:
            return await asyncpg.connect(dsn, timeout=timeout_seconds, server_settings={"application_name": "tfo-mcp"})

        self._engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=connect,
            pool_size=_CONNECTIONS,
            max_overflow=0,
            pool_pre_ping=True,
        )

    async def run(self, work: Callable[[Connection], ResultT], *, changes: bool) -> ResultT:
        """Return the result of work in a transaction, which is rolled back if the work raises."""
        async with self._engine.begin() as connection:
            return await connection.run_sync(work)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._engine.dispose()
