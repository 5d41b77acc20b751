"""The connections to a PostgreSQL database."""

from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

_CONNECTIONS = 5


def postgres_engine(dsn: str, timeout_seconds: float) -> AsyncEngine:
    """Return an engine for a database; `dsn` is a URL in the form of libpq.

    Args:
        timeout_seconds: how long to wait for a connection.
    """

    async def connect() -> Any:
        return await asyncpg.connect(dsn, timeout=timeout_seconds, server_settings={"application_name": "tfo-mcp"})

    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_size=_CONNECTIONS,
        max_overflow=0,
        pool_pre_ping=True,
    )
