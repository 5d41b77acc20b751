"""State: the adapters that hold what outlives a request. Servers that share them are replicas of each other."""

from dataclasses import dataclass

from tfo_mcp.application.ports import EventBus, SessionBus, SessionStore, StreamLog
from tfo_mcp.infrastructure.config import Settings
from tfo_mcp.infrastructure.state.events import MemoryEventBus
from tfo_mcp.infrastructure.state.sessions import MemorySessionBus, MemorySessionStore
from tfo_mcp.infrastructure.state.streams import MemoryStreamLog


@dataclass(frozen=True, slots=True)
class SharedState:
    """The adapters that replicas share."""

    sessions: SessionStore
    streams: StreamLog
    relay: SessionBus
    events: EventBus

    @classmethod
    def embedded(cls, settings: Settings) -> "SharedState":
        """Return the embedded default: the memory of this process."""
        return cls(
            MemorySessionStore(settings.mcp.session_idle_seconds),
            MemoryStreamLog(settings.mcp.stream_history, settings.limits.history_bytes),
            MemorySessionBus(),
            MemoryEventBus(),
        )
