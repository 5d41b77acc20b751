"""SessionUse: tracks which sessions are in use in this process, by a call or an open stream.

A session in use is not idle and is not closed to make room for another one.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tfo_mcp.domain.ids import SessionId


class SessionUse:
    """Knows the sessions in use: held with `held`, or reported by a registered source."""

    def __init__(self) -> None:
        self._held: Counter[SessionId] = Counter()
        self._sources: list[Callable[[SessionId], bool]] = []

    def report(self, source: Callable[[SessionId], bool]) -> None:
        """Register a function that returns whether a session is in use."""
        self._sources.append(source)

    @contextmanager
    def held(self, session_id: SessionId) -> Iterator[None]:
        """Mark a session as in use until the context exits."""
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
