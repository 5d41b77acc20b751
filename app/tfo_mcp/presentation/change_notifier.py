"""ChangeNotifier: notifies a session's client of list and resource changes, outside of any request.

A task runs only while notifications are pending, so that idle connections are cheap. Changes that arrive faster than
the client reads them are coalesced (docs/adr/0003). Knows no socket.
"""

import asyncio

import anyio

from tfo_mcp.application.changes import ChangeFeed
from tfo_mcp.domain.errors import SessionNotFound, StateUnavailable
from tfo_mcp.domain.events import Change, ResourceUpdated
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.domain.session import Session, SessionState
from tfo_mcp.presentation.protocol.call import Correlation, Outlet
from tfo_mcp.presentation.protocol.handshake import HandshakeEra

_RETRY_SECONDS = 0.5


class ChangeNotifier:
    """Sends change notifications to one outlet until it is closed or the session ends."""

    def __init__(self, feed: ChangeFeed, era: HandshakeEra, correlation: Correlation, outlet: Outlet) -> None:
        self._feed = feed
        self._era = era
        self._correlation = correlation
        self._outlet = outlet
        self._telling: asyncio.Task[None] | None = None
        feed.call(self._begin)

    def close(self) -> None:
        """Stop sending notifications."""
        self._feed.close()
        if self._telling is not None:
            self._telling.cancel()

    def _begin(self) -> None:
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        try:
            while changes := self._feed.take():
                for change in changes:
                    if await self._concerns(change):
                        await self._outlet.notify(self._era.announce(change))
        except SessionNotFound:
            self._feed.close()
        finally:
            self._telling = None

    async def _session(self, session_id: SessionId) -> Session:
        while True:
            try:
                return await self._era.session(session_id)
            except StateUnavailable:
                await anyio.sleep(_RETRY_SECONDS)

    async def _concerns(self, change: Change) -> bool:
        session_id = self._correlation.session_id
        if session_id is None:
            return False
        session = await self._session(session_id)
        if session.state is not SessionState.READY:
            return False
        return not isinstance(change, ResourceUpdated) or change.uri in session.subscriptions
