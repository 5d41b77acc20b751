"""An attacker's view of a server: the tools that a caller has, and the files outside of the roots that they reach.

Owns the ways to read and to change a file through tools and resources. Knows no deployment; the transport is a function
that sends a stateless request.
"""

import os
import shlex
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx

from tests.support.deadlines import PATIENCE
from tests.support.envelopes import JsonObject, request, stateless_headers, stateless_params
from tests.support.http_client import HEADERS

READ_TOOLS = {"echo", "file_info", "list_directory", "read_file", "search_files", "system_info"}
WRITE_TOOLS = {"write_file", "edit_file", "move_file", "delete_file"}
OTHER_TOOLS = {"execute_command", "claude_conversation"}
ALL_TOOLS = READ_TOOLS | WRITE_TOOLS | OTHER_TOOLS

READER = ("tools:read", "resources:read")
WRITER = (*READER, "tools:write")
RUNNER = (*WRITER, "tools:execute")
TOOLS_OF: Mapping[tuple[str, ...], set[str]] = {
    READER: READ_TOOLS,
    WRITER: READ_TOOLS | WRITE_TOOLS,
    RUNNER: READ_TOOLS | WRITE_TOOLS | {"execute_command"},
}
"""The tools that a key with these scopes can use."""

_TRY = (
    '{ cat "$path" || ls "$path/"; } >/dev/null 2>&1 && echo "$path"; '
    '{ echo x >> "$path"; touch "$path.made"; mv "$path" taken; rm -r "$path"; } >/dev/null 2>&1'
)

_Way = tuple[str, str, JsonObject]
Send = Callable[[str, JsonObject], JsonObject]
"""Sends a request (method, params) and returns the reply."""


class Refused(Exception):
    """The server has answered with an HTTP status instead of a JSON-RPC reply."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


@dataclass(frozen=True)
class Attacker:
    """A caller that tries to reach files outside of the roots."""

    send: Send

    def tools(self) -> set[str]:
        """Return the names of the listed tools."""
        return {tool["name"] for tool in self.send("tools/list", {})["result"]["tools"]}

    def call(self, tool: str, **arguments: Any) -> str | None:
        """Return the result of a call as text; None if the call failed."""
        return self._outcome("tools/call", {"name": tool, "arguments": arguments})

    def reached(self, paths: Sequence[Path], root: Path) -> list[str]:
        """Return the ways in which the caller can read these files and directories."""
        return self._succeeding(way for path in paths for way in _ways_to_read(path, root))

    def changed(self, paths: Sequence[Path], root: Path) -> list[str]:
        """Return the ways in which the caller can change these files or create others in their directories."""
        return self._succeeding(way for path in paths for way in _ways_to_write(path, root))

    def reached_by_command(self, paths: Sequence[Path], root: Path) -> list[str]:
        """Return the files and directories that a command can read; the command also tries to change all of them."""
        named = [name for path in paths for name in (str(path), os.path.relpath(path, root))]
        tried = f"for path in {shlex.join(named)}; do {_TRY}; done"
        reply = self.send("tools/call", _call("execute_command", command=tried))
        found: list[str] = reply["result"]["structuredContent"]["stdout"].splitlines()
        return found

    def _succeeding(self, ways: Iterable["_Way"]) -> list[str]:
        return [name for name, method, params in ways if self._outcome(method, params) is not None]

    def _outcome(self, method: str, params: JsonObject) -> str | None:
        reply = self.send(method, params)
        if "error" in reply or reply["result"].get("isError"):
            return None
        return str(reply["result"])


@contextmanager
def http_attacker(
    origin: str, key: str | None = None, trust: ssl.SSLContext | Literal[False] = False
) -> Iterator[Attacker]:
    """Yield a caller over Streamable HTTP.

    Args:
        origin: scheme, host and port of the server.
        key: API key, or None for an anonymous caller.
        trust: the TLS context for HTTPS; False disables verification.
    """
    shown = {} if key is None else {"Authorization": f"Bearer {key}"}
    with httpx.Client(verify=trust, trust_env=False, timeout=2 * PATIENCE, headers={**HEADERS, **shown}) as client:

        def send(method: str, params: JsonObject) -> JsonObject:
            message = request(1, method, stateless_params(params))
            answer = client.post(f"{origin}/mcp", json=message, headers=stateless_headers(message))
            if "jsonrpc" not in answer.text or answer.status_code == httpx.codes.UNAUTHORIZED:
                raise Refused(answer.status_code)
            reply: JsonObject = answer.json()
            return reply

        yield Attacker(send)


def _ways_to_read(path: Path, root: Path) -> Iterator[_Way]:
    relative = os.path.relpath(path, root)
    for shown in (str(path), relative, path.as_uri()):
        yield f"read_file {shown}", "tools/call", _call("read_file", path=shown)
        yield f"file_info {shown}", "tools/call", _call("file_info", path=shown)
        yield f"list_directory {shown}", "tools/call", _call("list_directory", path=shown)
    yield "search_files", "tools/call", _call("search_files", path=str(path.parent), contents=".")
    yield "resources/read", "resources/read", {"uri": path.as_uri()}
    yield "execute_command", "tools/call", _call("execute_command", argv=["true"], working_dir=str(path.parent))


def _ways_to_write(path: Path, root: Path) -> Iterator[_Way]:
    relative = os.path.relpath(path, root)
    for shown in (str(path), relative, path.as_uri()):
        yield f"write_file {shown}", "tools/call", _call("write_file", path=shown, content="x", mode="overwrite")
        yield f"delete_file {shown}", "tools/call", _call("delete_file", path=shown, recursive=True)
        yield f"move_file from {shown}", "tools/call", _call("move_file", source=shown, destination="taken")
        yield f"move_file to {shown}", "tools/call", _call("move_file", source="notes.txt", destination=shown)
    yield "beside", "tools/call", _call("write_file", path=str(path.with_name("made-by-an-attacker")), content="x")


def _call(tool: str, **arguments: Any) -> JsonObject:
    return {"name": tool, "arguments": arguments}
