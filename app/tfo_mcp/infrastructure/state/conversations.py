"""Conversations with a language model in memory, least recently used first. Must not know models or callers."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import islice
from time import monotonic

from tfo_mcp.application.ports import ConversationSummary
from tfo_mcp.domain.conversation import Conversation
from tfo_mcp.domain.errors import Conflict
from tfo_mcp.domain.ids import ConversationId

_MOST = 10_000


class MemoryConversationStore:
    """Conversations by id.

    Args:
        idle_seconds: how long an unused conversation is kept.
        per_owner: maximum number of conversations of one owner.
        total: maximum number of all conversations.
    """

    def __init__(
        self, idle_seconds: float, per_owner: int, total: int = _MOST, clock: Callable[[], float] = monotonic
    ) -> None:
        self._idle_seconds = idle_seconds
        self._per_owner = per_owner
        self._total = total
        self._clock = clock
        self._kept: OrderedDict[ConversationId, tuple[float, Conversation]] = OrderedDict()
        self._owners: dict[str, OrderedDict[ConversationId, None]] = {}

    async def get(self, conversation_id: ConversationId) -> Conversation | None:
        """Return a copy of the conversation, None if it is unknown or has expired."""
        self._expire()
        found = self._kept.get(conversation_id)
        return None if found is None else found[1].copy()

    async def put(self, conversation: Conversation) -> None:
        """Add or update the conversation.

        Raises:
            Conflict: it was changed or deleted since it was loaded.
        """
        self._expire()
        found = self._kept.get(conversation.id)
        if (0 if found is None else found[1].edition) != conversation.edition:
            raise Conflict
        conversation.edition += 1
        self._kept[conversation.id] = (self._clock(), conversation.copy())
        self._kept.move_to_end(conversation.id)
        owned = self._owners.setdefault(conversation.owner, OrderedDict())
        owned[conversation.id] = None
        owned.move_to_end(conversation.id)
        if len(owned) > self._per_owner:
            self._remove(next(iter(owned)))
        if len(self._kept) > self._total:
            self._remove(next(iter(self._kept)))

    async def delete(self, conversation_id: ConversationId) -> None:
        """Delete the conversation; a no-op if it is unknown."""
        if conversation_id in self._kept:
            self._remove(conversation_id)

    async def list(self, owner: str, limit: int) -> Sequence[ConversationSummary]:
        """Return up to `limit` conversations of an owner, most recently used first."""
        self._expire()
        latest = islice(reversed(self._owners.get(owner, OrderedDict())), limit)
        return [ConversationSummary.of(self._kept[each][1]) for each in latest]

    def _expire(self) -> None:
        oldest_allowed = self._clock() - self._idle_seconds
        while self._kept:
            conversation_id = next(iter(self._kept))
            if self._kept[conversation_id][0] >= oldest_allowed:
                return
            self._remove(conversation_id)

    def _remove(self, conversation_id: ConversationId) -> None:
        _, conversation = self._kept.pop(conversation_id)
        owned = self._owners[conversation.owner]
        del owned[conversation_id]
        if not owned:
            del self._owners[conversation.owner]
