"""A visit: the scenario that every real client runs against the server, and the observations that it reports.

Owns the errand (the calls of the scenario, the same for all clients) and the format of the report. Knows no client and
starts no process.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tests.e2e.deployment import REVISIONS, Deployment, Era

Mode = Literal["legacy", "auto", "modern"]
"""Modes of version negotiation: by the handshake, by discovery with a fallback, or stateless only."""

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
"""The result of a tool in its protocol format."""


@dataclass(frozen=True)
class Errand:
    """The calls of the scenario; the client creates the file `signal` after the last progress notification."""

    root: Path
    folder: str

    @property
    def calls(self) -> Mapping[str, Call]:
        """The calls to make, by the names of their results in the visit."""
        return {
            "echoed": Call("echo", {"message": MESSAGE}),
            "read": Call("read_file", {"path": f"{self.folder}/notes.txt"}),
            "listed": Call("list_directory", {"path": self.folder}),
            "failed": Call("read_file", {"path": f"{self.folder}/none.txt"}),
        }

    @property
    def watched(self) -> Call:
        """The call whose progress is recorded."""
        return Call("count_and_wait", {"number": NUMBER, "folder": self.folder})

    @property
    def signal(self) -> Path:
        """The file to create after the last progress notification; the watched call ends only then."""
        return self.root / self.folder / "go"

    @property
    def as_json(self) -> dict[str, Any]:
        """The errand as JSON, for programs in other languages."""
        calls = {key: call._asdict() for key, call in self.calls.items()}
        return {"calls": calls, "watched": self.watched._asdict(), "number": NUMBER, "signal": str(self.signal)}


class Watcher:
    """Records the progress of the watched call and creates the signal file."""

    def __init__(self, errand: Errand) -> None:
        self.seen: list[Progress] = []
        self._errand = errand

    async def on_progress(self, progress: float, total: float | None, message: str | None) -> None:
        """Record a progress notification."""
        self.seen.append((progress, total, message))
        if progress == NUMBER:
            self._errand.signal.touch()


@dataclass(frozen=True)
class Visit:
    """The observations of a client; `progress` is empty for a client that does not report it."""

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
    """Create the file to read and return the errand."""
    folder = deployment.folder("visit")
    (folder / "notes.txt").write_text(NOTES, encoding="utf-8")
    return Errand(deployment.root, folder.name)


def era_of(revision: str | None) -> Era:
    """Return the era of a negotiated revision, which must be the latest of its era."""
    eras: dict[str | None, Era] = {revision: era for era, revision in REVISIONS.items()}
    return eras[revision]
