"""Usage for the command line, with plain values as results."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tfo_mcp.bootstrap.storage import database_of, default_file, storage_error, storage_url
from tfo_mcp.domain.errors import StorageUnavailable
from tfo_mcp.infrastructure.config import ConfigurationError, Settings


async def usage_of(settings: Settings, days: int) -> list[dict[str, Any]]:
    """Return the usage of each principal on each of the last `days` days (UTC), latest day first.

    If no database is named, it is that of a server with a network transport on the configured port.

    Raises:
        ConfigurationError: there is no database, or it cannot be used.
    """
    if storage_url(settings).kind == "memory":
        if settings.storage.url is not None or not settings.server.port or not _default_exists(settings):
            raise ConfigurationError(("usage is kept only in a database: set storage.url",))
        settings = settings.model_copy(
            update={"storage": settings.storage.model_copy(update={"url": default_file(settings)})}
        )
    database = database_of(settings, settings.files.roots or ())
    assert database is not None
    from tfo_mcp.infrastructure.storage.usage import SqlUsageStore

    try:
        since = datetime.now(UTC).date() - timedelta(days - 1)
        found = await SqlUsageStore(database).list(since)
    except StorageUnavailable as problem:
        raise storage_error(settings, problem.reason) from None
    finally:
        await database.aclose()
    return [{**usage._asdict(), "day": usage.day.isoformat()} for usage in found]


def _default_exists(settings: Settings) -> bool:
    path = default_file(settings).path
    return path is not None and path.exists()
