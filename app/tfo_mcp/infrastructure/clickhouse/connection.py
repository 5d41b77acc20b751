"""The connection to a ClickHouse: runs statements within limits, and stops them in the server.

Every statement is read-only for the server, has limits of time, memory and rows, and an id of its own. When its call is
cancelled or its time is over, KILL QUERY stops it. Knows clickhouse-connect; must not know what is asked.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import field
from threading import Lock
from typing import Any, TypeAlias, TypeVar
from uuid import uuid4

import anyio
import clickhouse_connect
import structlog
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, Error, ProgrammingError

from tfo_mcp.domain.errors import OperationFailed, StateUnavailable
from tfo_mcp.infrastructure.clickhouse.sql import SqlPart
from tfo_mcp.value_objects import value_object

_log = structlog.get_logger("tfo_mcp.telemetry")
_THREADS = 8
_CONNECT_SECONDS = 5
_STOP_SECONDS = 3.0
_STOP_PAUSE = 0.1
_GONE = "The ClickHouse of telemetry.store cannot be reached: try again later"
_TOO_MUCH = "The query {}: choose a shorter period or more filters"
_REFUSALS: Mapping[int, str] = {
    158: _TOO_MUCH.format("reads more rows than telemetry.store_max_rows allows"),
    159: _TOO_MUCH.format("took longer than telemetry.store_max_seconds allows"),
    160: _TOO_MUCH.format("would take longer than telemetry.store_max_seconds allows"),
    241: _TOO_MUCH.format("needs too much memory"),
    396: _TOO_MUCH.format("returns too many bytes"),
    307: _TOO_MUCH.format("reads more bytes than the server allows"),
    394: "The query was stopped in the server",
    427: "The query is not valid: the server does not accept the regular expression",
}
"""Messages for callers by ClickHouse's error codes."""
_UNKNOWN = frozenset({46, 47})
_CREDENTIALS = frozenset({192, 193, 194, 497, 516})

T = TypeVar("T")
Rows: TypeAlias = list[tuple[Any, ...]]


class UnknownName(OperationFailed):
    """A statement names a column or a function that the server does not find."""


@value_object
class Answer:
    """The rows of a statement, and the names of their columns."""

    names: Sequence[str]
    rows: Rows


@value_object
class ClickHouseAddress:
    """The address of the server, and the user and password to log in with."""

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    secure: bool


@value_object
class QueryLimits:
    """Limits of one statement, which the server enforces."""

    seconds: float = 20.0
    rows: int = 0
    memory_bytes: int = 2 * 1024**3


def new_client(address: ClickHouseAddress, seconds: int) -> Client:
    """Return a connected client, whose requests may take `seconds`."""
    return clickhouse_connect.get_client(
        host=address.host,
        port=address.port,
        username=address.user,
        password=address.password,
        database=address.database,
        secure=address.secure,
        connect_timeout=_CONNECT_SECONDS,
        send_receive_timeout=seconds,
        autogenerate_session_id=False,  # statements of several threads run at the same time
        query_limit=0,
        client_name="tfo-mcp",
    )


class ClickHouseConnection:
    """Runs statements; connects at the first one.

    Args:
        address: of the server.
        limits: of each statement.
    """

    def __init__(self, address: ClickHouseAddress, limits: QueryLimits) -> None:
        self.database = address.database
        self._address = address
        self._limits = limits
        self._client: Client | None = None
        self._lock = Lock()
        self._threads = ThreadPoolExecutor(_THREADS, "clickhouse")
        self._stoppers = ThreadPoolExecutor(2, "clickhouse-stop")

    async def rows(self, statement: SqlPart) -> Rows:
        """Execute a statement, and return its rows; raises like `answer`."""
        return (await self.answer(statement)).rows

    async def answer(self, statement: SqlPart) -> Answer:
        """Execute a statement, and return its answer.

        Raises:
            OperationFailed: it exceeds a limit, or the server refuses it.
            StateUnavailable: the server cannot be reached.
        """
        query_id = str(uuid4())
        work = self._threads.submit(self._execute, statement, query_id)
        waiting = asyncio.wrap_future(work)
        try:
            async with asyncio.timeout(self._limits.seconds + 1):
                return await asyncio.shield(waiting)
        except TimeoutError:
            raise OperationFailed(_REFUSALS[159]) from None
        finally:
            if not work.done():
                waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
                await self._stop(query_id, work, waiting)

    def close(self) -> None:
        """Close the connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._stoppers.shutdown(wait=False, cancel_futures=True)
        if self._client is not None:
            self._client.close()

    def _execute(self, statement: SqlPart, query_id: str) -> Answer:
        text, parameters = statement.bound()

        def ask(client: Client) -> Answer:
            found = client.query(text, dict(parameters), self._settings(client, query_id))
            return Answer(found.column_names, [tuple(row) for row in found.result_rows])

        return self._asked(ask)

    def _settings(self, client: Client, query_id: str) -> dict[str, Any]:
        """Return the id and the limits of a statement, without those that the user's profile fixes."""
        limits = {
            "readonly": 2,
            "max_execution_time": self._limits.seconds,
            "max_rows_to_read": self._limits.rows,
            "max_memory_usage": self._limits.memory_bytes,
        }
        fixed = {name for name in limits if (known := client.server_settings.get(name)) and known.readonly}
        return {"query_id": query_id, **{name: value for name, value in limits.items() if name not in fixed}}

    def _asked(self, ask: Callable[[Client], T]) -> T:
        try:
            return ask(self._connected())
        except Error as problem:
            raise _failure(problem) from None
        except (ClickHouseError, OSError) as problem:
            _log.warning("ClickHouse cannot be reached", kind=type(problem).__name__)
            raise StateUnavailable(_GONE) from None

    def _connected(self) -> Client:
        with self._lock:
            if self._client is None:
                self._client = new_client(self._address, int(self._limits.seconds) + 5)
            return self._client

    async def _stop(self, query_id: str, work: "Future[Answer]", waiting: "asyncio.Future[Answer]") -> None:
        """Stop a statement in the server; again if it has not begun there yet."""
        loop = asyncio.get_running_loop()
        try:
            with anyio.fail_after(_STOP_SECONDS, shield=True):
                while not (work.cancel() or work.done()):
                    await loop.run_in_executor(self._stoppers, self._kill, query_id)
                    await asyncio.wait((waiting,), timeout=_STOP_PAUSE)
        except (TimeoutError, OperationFailed, StateUnavailable) as problem:
            _log.warning("a query could not be stopped in ClickHouse", query_id=query_id, kind=type(problem).__name__)

    def _kill(self, query_id: str) -> None:
        if self._client is not None:
            self._asked(
                lambda client: client.command("KILL QUERY WHERE query_id = {id:String} ASYNC", {"id": query_id})
            )


def _failure(problem: Error) -> OperationFailed | StateUnavailable:
    """Return the error for the caller of what the server or its client reports."""
    code = problem.code
    if code is not None and code in _REFUSALS:
        return OperationFailed(_REFUSALS[code])
    if code in _CREDENTIALS:
        _log.warning("ClickHouse refuses the credentials of telemetry.store", code=code)
        return StateUnavailable("ClickHouse refuses the credentials of telemetry.store or what they may read")
    if isinstance(problem, DatabaseError | ProgrammingError) and code is not None:
        _log.warning("ClickHouse refuses a query", code=code, reason=str(problem)[:2000])
        if code in _UNKNOWN:
            return UnknownName(f"ClickHouse does not know a name in the query (error {code})")
        return OperationFailed(f"ClickHouse cannot answer the query (error {code} {problem.name or ''})".strip())
    _log.warning("ClickHouse cannot be reached", kind=type(problem).__name__)
    return StateUnavailable(_GONE)
