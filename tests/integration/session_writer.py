"""A process that opens and closes sessions in a database until it is killed.

Usage: `python -m tests.integration.session_writer URL`. Prints the digest of each session that is stored, as the event
log names it, and whether it is open or closed.
"""

import asyncio
import sys

from tests.support.databases import access_to
from tfo_mcp.application.event_recorder import EventRecorder
from tfo_mcp.application.event_records import EventRecords
from tfo_mcp.domain.ids import new_session_id
from tfo_mcp.domain.interaction import NO_CAPABILITIES
from tfo_mcp.domain.session import Session
from tfo_mcp.infrastructure.state.events import MemoryEventBus
from tfo_mcp.infrastructure.state.sessions import MemorySessionStore
from tfo_mcp.infrastructure.storage.outbox import SqlOutbox
from tfo_mcp.infrastructure.storage.sessions import SqlSessionStore


async def write(url: str) -> None:
    """Open sessions, and close every second one, until the process is killed."""
    database = access_to(url, 10.0).open(schema_is_known=True)
    records = EventRecords()
    recorder = EventRecorder(MemoryEventBus(), SqlOutbox(database, "writer"), records, lambda: None)
    store = SqlSessionStore(MemorySessionStore(60.0), database, 60.0, recorder)

    async def work(number: int) -> None:
        while True:
            session = Session(new_session_id(), "owner", "key:owner")
            session.initialize("revision", NO_CAPABILITIES, "client", "1")
            digest = records.of(session.events[0]).subject
            await store.add(session, 10**9, 10**9)
            print(digest, "open", flush=True)
            if number % 2:
                session.collect_events()
                session.close()
                session.finish()
                await store.delete(session.id, session.events)
                print(digest, "closed", flush=True)

    await asyncio.gather(*map(work, range(8)))


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1]))
