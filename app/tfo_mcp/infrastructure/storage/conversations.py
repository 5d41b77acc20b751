"""SqlConversationStore: conversations with a language model, in a database that replicas may share.

Every read and write goes to the database, so that any replica can continue a conversation. `purge` deletes the expired
ones.
"""

from collections.abc import Sequence
from functools import partial

from sqlalchemy import ColumnElement, Connection, Delete, RowMapping, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from tfo_mcp.application.event_records import EventRecords
from tfo_mcp.application.ports import ConversationSummary, RecordedEvent
from tfo_mcp.domain.conversation import Conversation
from tfo_mcp.domain.errors import Conflict
from tfo_mcp.domain.ids import ConversationId
from tfo_mcp.domain.token_usage import TokenUsage
from tfo_mcp.infrastructure.storage.database import Database
from tfo_mcp.infrastructure.storage.outbox import insert_events
from tfo_mcp.infrastructure.storage.tables import DatabaseTime, conversations


class SqlConversationStore:
    """The conversations in a database.

    Args:
        idle_seconds: how long an unused conversation is kept.
        per_owner: maximum number of conversations of one owner.
        records: makes the records of events; None if the outbox is not in the database.
    """

    def __init__(
        self, database: Database, idle_seconds: float, per_owner: int, records: EventRecords | None = None
    ) -> None:
        self._database = database
        self._idle_seconds = idle_seconds
        self._per_owner = per_owner
        self._records = records

    async def get(self, conversation_id: ConversationId) -> Conversation | None:
        """Return the conversation, None if it is unknown or has expired."""
        return await self._database.read(partial(self._find, conversation_id))

    async def put(self, conversation: Conversation) -> None:
        """Add or update the conversation, with its events in the same transaction.

        Raises:
            Conflict: it was changed or deleted since it was loaded.
            StorageUnavailable: the database cannot be written.
        """
        try:
            await self._database.write(partial(self._store, conversation, self._events_of(conversation)))
        except IntegrityError:
            raise Conflict from None
        conversation.edition += 1

    async def delete(self, conversation_id: ConversationId) -> None:
        """Delete the conversation; a no-op if it is unknown."""
        await self._database.execute(delete(conversations).where(_is(conversation_id)))

    async def list(self, owner: str, limit: int) -> Sequence[ConversationSummary]:
        """Return up to `limit` conversations of an owner, most recently used first."""
        return await self._database.read(partial(self._summaries, owner, limit))

    async def purge(self) -> None:
        """Delete the expired conversations.

        Raises:
            StorageUnavailable: the database cannot be written.
        """
        expired = conversations.c.used < DatabaseTime() - self._idle_seconds
        await self._database.execute(delete(conversations).where(expired))

    def _is_kept(self) -> ColumnElement[bool]:
        return conversations.c.used >= DatabaseTime() - self._idle_seconds

    def _find(self, conversation_id: ConversationId, connection: Connection) -> Conversation | None:
        found = select(conversations.c.document, conversations.c.version).where(_is(conversation_id), self._is_kept())
        row = connection.execute(found).mappings().one_or_none()
        if row is None:
            return None
        conversation = Conversation.from_document(row["document"])
        conversation.edition = row["version"]
        return conversation

    def _store(self, conversation: Conversation, events: Sequence[RecordedEvent], connection: Connection) -> None:
        values = {
            "used": DatabaseTime(),
            "version": conversation.edition + 1,
            "summary": _summary_document(conversation),
            "document": conversation.document(),
        }
        if conversation.edition == 0:
            owned = {"id": conversation.id, "owner": conversation.owner}
            connection.execute(insert(conversations).values(**owned, **values))
            connection.execute(self._surplus(conversation.owner))
            insert_events(events, connection)
            return
        stored = update(conversations).where(
            _is(conversation.id), conversations.c.version == conversation.edition, self._is_kept()
        )
        if connection.execute(stored.values(values)).rowcount != 1:
            raise Conflict
        insert_events(events, connection)

    def _events_of(self, conversation: Conversation) -> Sequence[RecordedEvent]:
        return () if self._records is None else self._records.of_all(conversation.events)

    def _surplus(self, owner: str) -> Delete:
        latest = select(conversations.c.id).where(conversations.c.owner == owner).order_by(conversations.c.used.desc())
        return delete(conversations).where(
            conversations.c.owner == owner, conversations.c.id.not_in(latest.limit(self._per_owner))
        )

    def _summaries(self, owner: str, limit: int, connection: Connection) -> Sequence[ConversationSummary]:
        latest = (
            select(conversations.c.id, conversations.c.summary)
            .where(conversations.c.owner == owner, self._is_kept())
            .order_by(conversations.c.used.desc())
            .limit(limit)
        )
        return [_summary(row) for row in connection.execute(latest).mappings()]


def _is(conversation_id: ConversationId) -> ColumnElement[bool]:
    return conversations.c.id == conversation_id


def _summary_document(conversation: Conversation) -> dict[str, object]:
    summary = ConversationSummary.of(conversation)._asdict()
    return {**summary, "usage": conversation.usage.document()}


def _summary(row: RowMapping) -> ConversationSummary:
    document = row["summary"]
    return ConversationSummary(**{**document, "usage": TokenUsage.from_document(document["usage"])})
