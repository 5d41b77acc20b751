"""The service of the store process: answers queries of the user's servers on a Unix socket.

Only processes of the same user are served. A query runs in a thread with a cursor of its own, has a deadline, and is
interrupted when its client leaves. Must not know OTLP's transports.
"""

import asyncio
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any

import duckdb
import structlog

from tfo_mcp.infrastructure.telemetry_store.database import TelemetryDatabase
from tfo_mcp.infrastructure.telemetry_store.places import is_own_user
from tfo_mcp.infrastructure.telemetry_store.protocol import (
    LENGTHS,
    PROTOCOL,
    ProtocolError,
    decoded,
    encoded,
    frame,
    header_of,
    lengths_of,
)
from tfo_mcp.infrastructure.telemetry_store.queries.catalog import QUERIES
from tfo_mcp.infrastructure.telemetry_store.queries.select import SelectRefused

_log = structlog.get_logger("tfo_mcp.telemetry")
_QUERY_SECONDS = 20.0
_QUERY_THREADS = 4

Command = Callable[[Mapping[str, Any], bytes], Any]
"""A further method: receives the header and the payload of a request; returns a result or an awaitable of one."""


class QueryFailed(Exception):
    """A query cannot be answered; the text is for its caller."""


class StoreService:
    """Serves connections.

    Args:
        database: answers the queries; None if this process answers none.
        commands: further methods by name.
    """

    def __init__(self, database: TelemetryDatabase | None, commands: Mapping[str, Command]) -> None:
        self._database = database
        self._commands = commands
        self._threads = ThreadPoolExecutor(_QUERY_THREADS, "telemetry-query")
        self._connections: set[asyncio.Task[None]] = set()
        self._last_active = monotonic()

    @property
    def idle_seconds(self) -> float:
        """Seconds since the last connection was closed; 0 while there is one."""
        return 0.0 if self._connections else monotonic() - self._last_active

    async def serve(self, listener: socket.socket) -> None:
        """Serve until cancelled."""
        server = await asyncio.start_unix_server(self._connected, sock=listener)
        try:
            await server.serve_forever()
        finally:
            for connection in tuple(self._connections):
                connection.cancel()
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            if is_own_user(writer.get_extra_info("socket")):
                await self._converse(reader, writer)
        except (OSError, EOFError, ProtocolError, asyncio.CancelledError):
            pass  # the client has left, or does not speak the protocol
        finally:
            self._connections.discard(task)
            self._last_active = monotonic()
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            sizes = lengths_of(await reader.readexactly(LENGTHS))
            header = header_of(await reader.readexactly(sizes[0]))
            payload = await reader.readexactly(sizes[1])
            answer = asyncio.ensure_future(self._answer(header, payload))
            leaving = asyncio.ensure_future(reader.read(1))
            await asyncio.wait((answer, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                answer.cancel()
                await asyncio.wait((answer,))
                return
            leaving.cancel()
            with suppress(asyncio.CancelledError):
                if await leaving:
                    return  # a further request before the answer
            writer.write(answer.result())
            await writer.drain()

    async def _answer(self, header: Mapping[str, Any], payload: bytes) -> bytes:
        try:
            if header.get("protocol") != PROTOCOL:
                return frame({"error": "protocol", "message": f"The telemetry store speaks protocol {PROTOCOL}"})
            method = header.get("method")
            if (command := self._commands.get(str(method))) is not None:
                result = command(header, payload)
                if asyncio.iscoroutine(result) or isinstance(result, asyncio.Future):
                    result = await result
            else:
                result = await self._query(str(method), header)
            if isinstance(result, bytes):
                return frame({"result": None}, result)
            return frame({"result": encoded(result)})
        except QueryFailed as problem:
            return frame({"error": "failed", "message": str(problem)})
        except ProtocolError as problem:
            return frame({"error": "failed", "message": f"The query cannot be answered: {problem}"})
        except Exception as problem:  # a defect ends this request only
            _log.exception("a query failed", kind=type(problem).__name__)
            return frame({"error": "failed", "message": "The telemetry store has an internal error"})

    async def _query(self, method: str, header: Mapping[str, Any]) -> object:
        query = QUERIES.get(method)
        if query is None:
            raise QueryFailed(f"The telemetry store has no method {method}")
        if self._database is None:
            raise QueryFailed("This process receives telemetry for a ClickHouse, which answers the queries")
        arguments = {name: decoded(value) for name, value in header.get("arguments", {}).items()}
        cursor = self._database.cursor()
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._threads, partial(_run, query, cursor, decoded(header.get("rows")), arguments))
        try:
            async with asyncio.timeout(_QUERY_SECONDS):
                return await asyncio.shield(work)
        except TimeoutError:
            raise QueryFailed(
                f"The query took longer than {_QUERY_SECONDS:g} s: choose a shorter period or more filters"
            ) from None
        finally:
            if not work.done():
                cursor.interrupt()
                work.add_done_callback(lambda done: done.exception())


def _run(
    query: Callable[..., object], cursor: duckdb.DuckDBPyConnection, rows: object, arguments: Mapping[str, object]
) -> object:
    try:
        return query(cursor, rows, **arguments)
    except SelectRefused as problem:
        raise QueryFailed(str(problem)) from None
    except duckdb.InterruptException:
        raise QueryFailed("The query was interrupted") from None
    except duckdb.OutOfMemoryException:
        raise QueryFailed("The query needs too much memory: choose a shorter period or more filters") from None
    except duckdb.InvalidInputException as problem:
        reason = str(problem).partition("\n")[0].removeprefix("Invalid Input Error: ")
        raise QueryFailed(f"The query is not valid: {reason}") from None
    finally:
        cursor.close()
