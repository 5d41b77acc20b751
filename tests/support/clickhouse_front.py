"""ClickHouse's HTTP interface in front of chDB: `python -m tests.support.clickhouse_front DIRECTORY PORT USER`.

Speaks what clickhouse-connect uses: statements in the body or in `query`, bound parameters, settings, ids of queries,
data of INSERT in the body, error codes, and user and password. The engine is ClickHouse's own. chDB chooses the ids of
its queries, so that the id of a request is kept in `log_comment`, and KILL QUERY looks for it there. Knows no table.
"""

import json
import re
import sys
import tempfile
from base64 import b64decode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock
from urllib.parse import parse_qsl, urlsplit

import lz4.frame

from tests.support.request_body import request_body

sys.modules.setdefault("pyarrow", MagicMock())  # chDB names it in annotations of formats that are not used here
import chdb  # noqa: E402

_NOT_SETTINGS = frozenset(
    {
        *("query", "database", "query_id", "default_format", "user", "password"),
        *("client_protocol_version", "session_id", "wait_end_of_query", "buffer_size", "compress"),
    }
)
_CODE = re.compile(r"Code: (\d+)")
_INSERT = re.compile(rb"\s*INSERT\s+INTO\s+(.+?)\s+FORMAT\s+(\w+)\s*\n?", re.IGNORECASE | re.DOTALL)
_FORMAT = re.compile(r"\sFORMAT\s+(\w+)\s*$", re.IGNORECASE)
_KILLED = re.compile(r"query_id\s*=")


class Refused(Exception):
    """The request is refused with a code of ClickHouse."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Front(BaseHTTPRequestHandler):
    """Answers requests; each has a connection of its own to the engine."""

    protocol_version = "HTTP/1.1"
    directory: str
    user: str

    def do_GET(self) -> None:
        """Answer the health check."""
        self._send(200, b"Ok.\n")

    def do_POST(self) -> None:
        """Execute the statement of a request."""
        given = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = request_body(self)
        if self.headers.get("content-encoding") == "lz4":
            body = lz4.frame.decompress(body)
        try:
            self._authenticate(given)
            self._send(200, self._execute(given, body), given.get("query_id", ""))
        except Refused as problem:
            self._send(403, str(problem).encode(), code=problem.code)
        except Exception as problem:
            found = _CODE.search(str(problem))
            self._send(500, str(problem).encode(), code=int(found[1]) if found else 1000)

    def _authenticate(self, given: dict[str, str]) -> None:
        sent = self.headers.get("authorization", "")
        user, _, password = b64decode(sent.removeprefix("Basic ")).decode().partition(":") if sent else ("", "", "")
        if (user or given.get("user"), password or given.get("password")) != tuple(self.user.split(":")):
            raise Refused(516, "Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)")

    def _execute(self, given: dict[str, str], body: bytes) -> bytes:
        connection = chdb.connect(self.directory)
        try:
            if database := given.get("database"):
                connection.query(f"USE `{database}`")
            for name, value in self._settings(given):
                connection.query(f"SET {name} = {value}")
            if (query := given.get("query")) is not None:
                return self._insert(connection, query.encode() + b"\n", body)
            if _INSERT.match(body):
                head = _INSERT.match(body)
                assert head is not None
                return self._insert(connection, head[0], body[head.end() :])
            return self._select(connection, given, body.decode())
        finally:
            connection.close()

    def _settings(self, given: dict[str, str]) -> list[tuple[str, str]]:
        chosen = [(name, value) for name, value in given.items() if self._is_setting(name)]
        comment = [("log_comment", given["query_id"])] if "query_id" in given else []
        quoted = [(name, _quoted(value)) for name, value in chosen + comment]
        return sorted(quoted, key=lambda each: each[0] == "readonly")  # nothing can be set after it

    @staticmethod
    def _is_setting(name: str) -> bool:
        return name not in _NOT_SETTINGS and not name.startswith("param_")

    @staticmethod
    def _insert(connection: Any, head: bytes, data: bytes) -> bytes:
        found = _INSERT.match(head)
        if found is None:
            connection.query((head + data).decode())
            return b""
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            place, form = found[1].decode(), found[2].decode()
            connection.query(f"INSERT INTO {place} FROM INFILE '{file.name}' FORMAT {form}")
        return b""

    @staticmethod
    def _select(connection: Any, given: dict[str, str], statement: str) -> bytes:
        parameters = {name.removeprefix("param_"): value for name, value in given.items() if name.startswith("param_")}
        if statement.lstrip().upper().startswith("KILL"):
            statement = _KILLED.sub("Settings['log_comment'] =", statement)
        found = _FORMAT.search(statement)
        form = found[1] if found else given.get("default_format", "TabSeparated")
        text = statement[: found.start()] if found else statement
        answer = connection.query(text, form, params=parameters)
        return bytes(answer.bytes())

    def _send(self, status: int, body: bytes, query_id: str = "", code: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-ClickHouse-Query-Id", query_id)
        self.send_header("X-ClickHouse-Summary", json.dumps({}))
        if code is not None:
            self.send_header("X-ClickHouse-Exception-Code", str(code))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing."""


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def main(directory: Path, port: int, user: str) -> None:
    """Serve until killed; the engine's files are in a directory, `user` is a name and a password."""
    Front.user = user
    Front.directory = str(directory / "data")
    keeper = chdb.connect(Front.directory)  # the engine stays open between requests
    try:
        ThreadingHTTPServer(("127.0.0.1", port), Front).serve_forever()
    finally:
        keeper.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
