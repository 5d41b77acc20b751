"""Ports: the Protocols of all that is outside, named for the need.

Adapters in `app.infrastructure` fulfil them; handlers and the presentation use nothing else of the outside world.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from app.domain.conversation import Message
from app.domain.events import DomainEvent
from app.domain.ids import SessionId
from app.domain.session import Session

EventT = TypeVar("EventT", bound=DomainEvent)


class EventBus(Protocol):
    """Carries domain events from those who make them to those who listen; never waits for a listener."""

    def publish(self, event: DomainEvent) -> None:
        """Hand the event to every listener of its type."""

    def subscribe(self, types: Sequence[type[EventT]], listener: Callable[[EventT], None]) -> Callable[[], None]:
        """Call `listener` with each event of these types until the returned function is called, once or more often."""


class SessionStore(Protocol):
    """Keeps the session documents; any replica may ask for any of them."""

    async def get(self, session_id: SessionId) -> Session | None:
        """Return the session and start its idle time anew; None when it is unknown or has expired."""

    async def put(self, session: Session) -> None:
        """Keep the session as it is now."""

    async def delete(self, session_id: SessionId) -> None:
        """Forget the session; an unknown one is no error."""

    async def count(self, owner: str | None = None) -> int:
        """Return how many sessions live: all, or those of one owner."""

    async def reap(self) -> Sequence[SessionId]:
        """Forget the sessions that have been idle too long and return their ids."""


@dataclass(frozen=True, slots=True)
class StreamId:
    """One resumable stream of one session; `name` is unique within the session."""

    session_id: SessionId
    name: str


class StreamLog(Protocol):
    """Keeps the latest frames of each resumable stream, so that a client can read on after a lost connection."""

    async def create(self, stream: StreamId) -> None:
        """Begin to keep a stream."""

    async def append(self, stream: StreamId, frame: bytes) -> int:
        """Add a frame and return its number; numbers of a stream grow from 1. One that is not kept drops it: 0."""

    async def finish(self, stream: StreamId) -> None:
        """Mark the stream as complete: who follows it comes to its end. One that is not kept is no error."""

    async def exists(self, stream: StreamId) -> bool:
        """Tell whether frames of this stream are kept."""

    def follow(self, stream: StreamId, after: int) -> AsyncIterator[tuple[int, bytes]]:
        """Yield the kept frames with numbers above `after`, then each new one, until the stream is finished."""

    async def forget(self, session_id: SessionId) -> None:
        """Drop all streams of a session and end those who follow them."""


class SessionBus(Protocol):
    """Carries a client's answer or cancellation to the process that waits for it."""

    async def publish(self, session_id: SessionId, frame: bytes) -> None:
        """Hand the frame to every process but this one."""

    def subscribe(self, receiver: Callable[[SessionId, bytes], None]) -> Callable[[], None]:
        """Call `receiver` with each frame that another process published, until the returned function is called."""


class Sealer(Protocol):
    """Protects what goes through the client's hands and must come back unaltered."""

    def seal(self, payload: bytes) -> str:
        """Return the payload as a text that only this server can make."""

    def unseal(self, sealed: str) -> bytes | None:
        """Return the payload, or None when the text was not made by `seal` with the same key."""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A conversation to be continued, the user's turn last."""

    messages: Sequence[Message]
    model: str | None = None
    system_prompt: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None


@dataclass(frozen=True, slots=True)
class ModelReply:
    """What the model said, and what it cost in tokens."""

    text: str
    model: str
    stop_reason: str | None
    input_tokens: int
    output_tokens: int


class LanguageModel(Protocol):
    """Continues conversations."""

    async def reply(self, request: ModelRequest) -> ModelReply:
        """Return the model's next turn.

        Raises:
            NotConfigured: no API key is set.
            OperationFailed: the provider refused or could not be reached; the message says what to do.
        """


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file or directory beneath a root; `path` is relative to the directory that was asked for, `size` in bytes."""

    path: str
    is_directory: bool
    size: int


@dataclass(frozen=True, slots=True)
class Listing:
    """Entries sorted by path; `truncated` when there were more than the limit."""

    entries: tuple[FileEntry, ...]
    truncated: bool


class FileStore(Protocol):
    """Files beneath the configured roots, and nothing else.

    Paths are relative to the first root, or absolute beneath one of the roots. Errors name the path as it was given:
    FileMissing when there is nothing, OperationFailed for everything else that the caller can act upon.
    """

    async def read(self, path: str) -> bytes:
        """Return a regular file's bytes; a file over the configured limit fails."""

    async def write(self, path: str, data: bytes, create_dirs: bool) -> int:
        """Replace or create a file whole (never half) and return the number of bytes written."""

    async def list(self, path: str, recursive: bool) -> Listing:
        """Return what a directory holds, without following symbolic links."""

    async def search(self, path: str, pattern: str) -> Listing:
        """Return files and directories beneath `path` whose name or relative path matches the glob `pattern`."""

    async def uri(self, path: str) -> str:
        """Return the file: URI under which the path can be read as a resource."""


@dataclass(frozen=True, slots=True)
class CommandOutcome:
    """What a command did. One of `exit_code` and `signal` is set, neither when it timed out."""

    exit_code: int | None
    signal: str | None
    stdout: str
    stderr: str
    truncated: bool
    timed_out: bool
    duration_seconds: float


class CommandRunner(Protocol):
    """Runs shell commands with bounded time and output."""

    async def run(self, command: str, working_dir: str | None, timeout_seconds: float | None) -> CommandOutcome:
        """Run to the end, to the time limit or to cancellation; nothing of it is left running.

        Raises:
            OperationFailed: the working directory or the time limit cannot be used.
        """


@dataclass(frozen=True, slots=True)
class Services:
    """What handlers of tools, resources and prompts may use of the outside."""

    files: FileStore
    commands: CommandRunner
    configuration: Callable[[], Mapping[str, Any]]
    """Gives the configuration in effect, secrets left out."""
