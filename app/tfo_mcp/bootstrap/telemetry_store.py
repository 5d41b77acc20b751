"""Builds the telemetry store from the settings: the client for servers, and the process behind it; or ClickHouse.

DuckDB and OpenTelemetry's messages are imported in the store process only, ClickHouse's client if it is configured.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tfo_mcp.application.ports import TelemetryStore
from tfo_mcp.bootstrap.exposure import is_loopback_host, why_public
from tfo_mcp.bootstrap.security import state_directory
from tfo_mcp.domain.access import Caller
from tfo_mcp.infrastructure.config import ConfigurationError, Settings
from tfo_mcp.infrastructure.telemetry_store.client import StoreClient
from tfo_mcp.infrastructure.telemetry_store.launcher import StoreLauncher
from tfo_mcp.infrastructure.telemetry_store.own_exports import OwnExports
from tfo_mcp.infrastructure.telemetry_store.places import StorePlaces, locked

if TYPE_CHECKING:
    from tfo_mcp.infrastructure.clickhouse.connection import ClickHouseAddress, ClickHouseConnection
    from tfo_mcp.infrastructure.clickhouse.writer import ClickHouseWriter
    from tfo_mcp.infrastructure.telemetry_store.process import ReceivingProcess

_LIBRARIES = ("duckdb", "grpc", "opentelemetry.proto")
_MISSING_CLICKHOUSE = "telemetry.store needs the package's extra: pip install 'tfo-mcp[clickhouse]'"
_PLAIN_PORT, _TLS_PORT = 8123, 8443
_OWN_LOOK_SECONDS, _SHARED_LOOK_SECONDS = 2.0, 10.0
_MISSING = "telemetry.store needs the package's extra: pip install 'tfo-mcp[observability]'"


def store_places() -> StorePlaces:
    """Return the files of the store process of this user."""
    return StorePlaces(state_directory() / "telemetry")


def with_store(settings: Settings) -> Settings:
    """Return the settings with `telemetry.store` decided, if it is not set.

    It is on where only this user reaches the server, and if its libraries are installed.
    """
    if settings.telemetry.store is not None:
        return settings
    is_own = settings.server.transport in ("stdio", "unix") or why_public(settings) is None
    decided = "embedded" if is_own and _is_installed() else "off"
    return settings.model_copy(update={"telemetry": settings.telemetry.model_copy(update={"store": decided})})


def store_client(settings: Settings) -> StoreClient | None:
    """Return the client of the store process, None if there is no store.

    Raises:
        ConfigurationError: the settings ask for the store, and a dependency is not installed.
    """
    return _process_client(settings) if settings.telemetry.store == "embedded" else None


def receiver_client(settings: Settings) -> StoreClient | None:
    """Return the client of the process that receives telemetry, for the store or for a ClickHouse; None without one.

    Raises:
        ConfigurationError: the settings ask for one, and a dependency is not installed.
    """
    return _process_client(settings) if receives(settings) else None


def receives(settings: Settings) -> bool:
    """Return whether a process of this user receives telemetry."""
    section = settings.telemetry
    return section.store == "embedded" or (_is_clickhouse(settings) and section.store_writes)


def _process_client(settings: Settings) -> StoreClient:
    if not _is_installed():
        raise ConfigurationError((_MISSING,))
    places = store_places()
    return StoreClient(places, StoreLauncher(places, settings.source))


class StoredTelemetry:
    """The telemetry store of a server, as its callers may read it.

    Args:
        settings: of the server.

    Raises:
        ConfigurationError: a dependency is not installed, or `telemetry.access` has an invalid rule.
    """

    def __init__(self, settings: Settings) -> None:
        from tfo_mcp.analysis.row_rules import InvalidRule, RowRules

        try:
            self._rules = RowRules(settings.telemetry.access)
        except InvalidRule as problem:
            raise ConfigurationError((f"telemetry.access: {problem}",)) from None
        self._clickhouse = _clickhouse_connection(settings)
        self._store = self._opened(settings)
        self.look_seconds = _OWN_LOOK_SECONDS if self._clickhouse is None else _SHARED_LOOK_SECONDS
        """The time between two looks for new errors."""

    def of(self, caller: Caller) -> TelemetryStore:
        """Return the store with the records that a caller may read."""
        rows = self._rules.rows_of(caller)
        return self._store if rows is None else self._store.restricted(rows)

    def close(self) -> None:
        """Close connections to ClickHouse."""
        if self._clickhouse is not None:
            self._clickhouse.close()

    def _opened(self, settings: Settings) -> TelemetryStore:
        if self._clickhouse is not None:
            from tfo_mcp.infrastructure.clickhouse.store import ClickHouseStore

            client = receiver_client(settings)
            return ClickHouseStore(self._clickhouse, receiver=None if client is None else client.addresses)
        client = store_client(settings)
        assert client is not None
        return client


def stored_telemetry(settings: Settings) -> StoredTelemetry | None:
    """Return the store, None if the settings switch it off.

    Raises:
        ConfigurationError: a dependency is not installed, or `telemetry.access` has an invalid rule.
    """
    return None if settings.telemetry.store in (None, "off") else StoredTelemetry(settings)


def _is_clickhouse(settings: Settings) -> bool:
    return settings.telemetry.store is not None and "://" in settings.telemetry.store


def _clickhouse_connection(settings: Settings) -> "ClickHouseConnection | None":
    if not _is_clickhouse(settings):
        return None
    address, section = _clickhouse_address(settings), settings.telemetry
    from tfo_mcp.infrastructure.clickhouse.connection import ClickHouseConnection, QueryLimits

    return ClickHouseConnection(address, QueryLimits(section.store_max_seconds, section.store_max_rows))


def _clickhouse_address(settings: Settings) -> "ClickHouseAddress":
    try:
        from tfo_mcp.infrastructure.clickhouse.connection import ClickHouseAddress
    except ImportError:
        raise ConfigurationError((_MISSING_CLICKHOUSE,)) from None
    section = settings.telemetry
    parts = urlsplit(section.store or "")
    is_secure = parts.scheme == "clickhouses"
    return ClickHouseAddress(
        host=parts.hostname or "",
        port=parts.port or (_TLS_PORT if is_secure else _PLAIN_PORT),
        database=unquote(parts.path.strip("/")),
        user=unquote(parts.username or "default"),
        password="" if section.store_password is None else section.store_password.get_secret_value(),
        secure=is_secure,
    )


def own_exports(settings: Settings) -> OwnExports | None:
    """Return what sends the server's own telemetry to the process that receives it; None without one."""
    return OwnExports(store_places()) if receives(settings) else None


def sender_key(settings: Settings) -> tuple[str, str] | None:
    """Return the id and the secret that senders need, None if they need none.

    Raises:
        ConfigurationError: only one of them is set, or none although the network reaches the receiver.
    """
    section = settings.telemetry
    if (section.ingest_key_id is None) != (section.ingest_key_secret is None):
        raise ConfigurationError(("telemetry.ingest_key_id and telemetry.ingest_key_secret belong together: set both",))
    if section.ingest_key_id is not None and section.ingest_key_secret is not None:
        return section.ingest_key_id.get_secret_value(), section.ingest_key_secret.get_secret_value()
    if not is_loopback_host(section.otlp_host):
        raise ConfigurationError(
            ("telemetry.otlp_host is reachable from the network: set telemetry.ingest_key_id and _secret, too",)
        )
    return None


@contextmanager
def store_lock() -> Generator[bool]:
    """Hold the lock of the store process; yield False if there is one already."""
    with locked(store_places()) as is_ours:
        yield is_ours


def store_process(settings: Settings) -> "ReceivingProcess":
    """Return the process that receives telemetry, whose lock must be held, with the store if that is its own.

    Raises:
        ConfigurationError: a dependency is not installed, the file cannot be used, or others fill the ClickHouse.
    """
    if _is_clickhouse(settings) and not settings.telemetry.store_writes:
        raise ConfigurationError(
            ("telemetry.store is a ClickHouse that others fill: set telemetry.store_writes to fill it from here",)
        )
    try:
        from tfo_mcp.infrastructure.telemetry_store.database import UnusableDatabase
        from tfo_mcp.infrastructure.telemetry_store.process import ReceivingProcess, StoreOptions, StoreProcess
        from tfo_mcp.infrastructure.telemetry_store.rows import FlatRowBatch
    except ImportError:
        raise ConfigurationError((_MISSING,)) from None
    section = settings.telemetry
    options = StoreOptions(
        section.max_age_seconds,
        section.max_store_bytes,
        section.max_queue_bytes,
        section.store_idle_seconds,
        section.redact,
        section.forward,
        _forward_headers(settings),
    )
    if _is_clickhouse(settings):
        return ReceivingProcess(store_places(), options, _clickhouse_writer(settings), FlatRowBatch)
    try:
        return StoreProcess(store_places(), options)
    except UnusableDatabase as problem:
        raise ConfigurationError((str(problem),)) from None


def _clickhouse_writer(settings: Settings) -> "ClickHouseWriter":
    address = _clickhouse_address(settings)
    from tfo_mcp.infrastructure.clickhouse.tables import WrittenTable
    from tfo_mcp.infrastructure.clickhouse.writer import ClickHouseWriter
    from tfo_mcp.infrastructure.telemetry_store.tables import TABLES

    tables = [WrittenTable(table.name, table.columns, table.time) for table in TABLES]
    return ClickHouseWriter(address, tables, settings.telemetry.max_age_seconds)


def _forward_headers(settings: Settings) -> Mapping[str, str]:
    """Return the headers of copies: the platform's key, if there is one."""
    section = settings.telemetry
    if section.api_key_id is None or section.api_key_secret is None:
        return {}
    return {
        "x-telemetryflow-key-id": section.api_key_id.get_secret_value(),
        "x-telemetryflow-key-secret": section.api_key_secret.get_secret_value(),
    }


def _is_installed() -> bool:
    try:
        return all(find_spec(name) is not None for name in _LIBRARIES)
    except ModuleNotFoundError:
        return False
