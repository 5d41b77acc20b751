"""A conversation with another MCP server over stdio, and the calls that answer questions.

Knows no server and no question.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.evaluation.day import Known
from tests.support.processes import Child
from tests.support.stdio_conversation import StdioConversation

PATIENCE = 180.0
"""Seconds for an answer."""
_NUMBER = re.compile(r"(?<![\w.-])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_UNITS = (1.0, 1e6, 1e3, 1e-3)
"""Durations may be given in milliseconds, nanoseconds, microseconds or seconds."""


@dataclass(frozen=True)
class PeerCall:
    """A call of a tool."""

    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """How a question is answered with the tools of a server.

    Args:
        calls: at most four; empty if the tools cannot answer.
        reason: why they cannot.
        tolerance: the relative error of numbers that is allowed.
        known: what the answers must contain, if it differs from the question's.
        is_first: whether the known text must be the first value in the first row or series of an answer.
    """

    calls: Sequence[PeerCall] = ()
    reason: str = ""
    tolerance: float = 0.005
    known: Known | None = None
    is_first: bool = False


class PeerSession:
    """A running server: its definitions, and calls of its tools."""

    def __init__(self, conversation: StdioConversation) -> None:
        self._conversation = conversation

    def definitions(self) -> Sequence[Mapping[str, Any]]:
        """Return the definitions of its tools."""
        reply = self._conversation.reply(self._conversation.start("tools/list", {}), PATIENCE)
        tools: Sequence[Mapping[str, Any]] = reply["result"]["tools"]
        return tools

    def call(self, call: PeerCall) -> str:
        """Return the texts of the result, or of the error."""
        reply = self._conversation.reply(self._conversation.start_tool(call.tool, call.arguments), PATIENCE)
        if "error" in reply:
            return str(reply["error"])
        return "\n".join(str(block.get("text", "")) for block in reply["result"]["content"])


@contextmanager
def peer_session(line: Sequence[str], variables: Mapping[str, str]) -> Iterator[PeerSession]:
    """Run a server over stdio until the end of the block."""
    with tempfile.TemporaryDirectory() as directory:
        errors = Path(directory, "stderr")
        with errors.open("wb") as sink:
            process = subprocess.Popen(
                line,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=sink,
                cwd=directory,
                env={**os.environ, **variables},
            )
        conversation = StdioConversation(Child(process, errors), "2025-06-18", {})
        try:
            identifier = conversation.start(
                "initialize",
                {
                    "protocolVersion": "2025-06-18",
                    "capabilities": {},
                    "clientInfo": {"name": "evaluation", "version": "1"},
                },
            )
            conversation.reply(identifier, PATIENCE)
            conversation.notify("notifications/initialized")
            yield PeerSession(conversation)
        finally:
            conversation.close()


def contains(text: str, known: Known, tolerance: float) -> bool:
    """Return whether a text has all known values: texts anywhere, numbers near enough, durations in any unit."""
    numbers = [float(each) for each in _NUMBER.findall(text)]
    return all(each in text if isinstance(each, str) else _has(numbers, each, tolerance) for each in known)


def _has(numbers: Sequence[float], expected: float, tolerance: float) -> bool:
    if isinstance(expected, int):
        return expected in numbers
    return any(abs(each - expected * unit) <= tolerance * abs(expected * unit) for each in numbers for unit in _UNITS)
