"""SessionUse: which sessions are in use in this process, by a call or by an open stream.

A session in use is not idle, so it is not ended to make room for another one.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tfo_mcp.domain.ids import SessionId


class SessionUse:
    """Knows the sessions in use: those that are held, and those that a source reports."""

    def __init__(self) -> None:
        self._held: Counter[SessionId] = Counter()
        self._sources: list[Callable[[SessionId], bool]] = []

    def report(self, source: Callable[[SessionId], bool]) -> None:
        """Also ask `source` whether a session is in use."""
        self._sources.append(source)

    @contextmanager
    def held(self, session_id: SessionId) -> Iterator[None]:
        """Keep a session in use until the context is left."""
        self._held[session_id] += 1
        try:
            yield
        finally:
            self._held[session_id] -= 1
            if not self._held[session_id]:
                del self._held[session_id]

    def includes(self, session_id: SessionId) -> bool:
        """Return whether a session is in use."""
        return session_id in self._held or any(source(session_id) for source in self._sources)
