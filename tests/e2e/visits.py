"""A visit: what every real client does at the server, and what it has seen when it leaves.

Owns the errand, the same for all, and the form in which clients report. Knows no client and starts nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tests.e2e.deployment import REVISIONS, Deployment, Era

Mode = Literal["legacy", "auto", "modern"]
"""What clients call the ways to find the revision: by the handshake, by asking first, or without the handshake."""

ERAS: Mapping[Mode, Era] = {"legacy": "handshake", "auto": "stateless", "modern": "stateless"}

BUILT_IN = frozenset(
    {
        "claude_conversation",
        "echo",
        "execute_command",
        "list_directory",
        "read_file",
        "search_files",
        "system_info",
        "write_file",
    }
)
MESSAGE = "Grüße aus Zürich 🙂"
NUMBER = 3
NOTES = "línea uno\nlínea dos\n"

Progress = tuple[float, float | None, str | None]


class Call(NamedTuple):
    """A call of a tool."""

    name: str
    arguments: Mapping[str, Any]


Result = Mapping[str, Any]
"""The result of a tool as it is on the wire."""


@dataclass(frozen=True)
class Errand:
    """What a client is sent to do; what it creates tells the server that it has seen the last report of progress."""

    root: Path
    folder: str

    @property
    def calls(self) -> Mapping[str, Call]:
        """The calls to make, by the name that the visit gives to their results."""
        return {
            "echoed": Call("echo", {"message": MESSAGE}),
            "read": Call("read_file", {"path": f"{self.folder}/notes.txt"}),
            "listed": Call("list_directory", {"path": self.folder}),
            "failed": Call("read_file", {"path": f"{self.folder}/none.txt"}),
        }

    @property
    def watched(self) -> Call:
        """The call to watch while it runs."""
        return Call("count_and_wait", {"number": NUMBER, "folder": self.folder})

    @property
    def signal(self) -> Path:
        """The file to create when the last report of the watched call is there; the call ends then only."""
        return self.root / self.folder / "go"

    @property
    def as_json(self) -> dict[str, Any]:
        """The errand for a program in another language."""
        calls = {key: call._asdict() for key, call in self.calls.items()}
        return {"calls": calls, "watched": self.watched._asdict(), "number": NUMBER, "signal": str(self.signal)}


class Watcher:
    """Keeps the progress of the watched call and gives the signal."""

    def __init__(self, errand: Errand) -> None:
        self.seen: list[Progress] = []
        self._errand = errand

    async def on_progress(self, progress: float, total: float | None, message: str | None) -> None:
        """Keep a report."""
        self.seen.append((progress, total, message))
        if progress == NUMBER:
            self._errand.signal.touch()


@dataclass(frozen=True)
class Visit:
    """What a client has seen; a client that shows no progress does not watch."""

    era: Era
    tools: frozenset[str]
    results: Mapping[str, Result]
    progress: Sequence[Progress] = ()

    def text(self, name: str) -> str:
        """Return the only text of a result."""
        (block,) = self.results[name]["content"]
        assert block["type"] == "text"
        return str(block["text"])


def errand_at(deployment: Deployment) -> Errand:
    """Lay out a file to be read and return the errand."""
    folder = deployment.folder("visit")
    (folder / "notes.txt").write_text(NOTES, encoding="utf-8")
    return Errand(deployment.root, folder.name)


def era_of(revision: str | None) -> Era:
    """Return the era of the revision that a client of today should have agreed on."""
    eras: dict[str | None, Era] = {revision: era for era, revision in REVISIONS.items()}
    return eras[revision]
