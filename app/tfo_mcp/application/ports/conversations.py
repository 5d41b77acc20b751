"""The port of the conversations with a language model that outlive their calls."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from tfo_mcp.domain.conversation import Conversation
from tfo_mcp.domain.ids import ConversationId
from tfo_mcp.domain.token_usage import TokenUsage


class ConversationSummary(NamedTuple):
    """A conversation in a list. Times are seconds since 1970."""

    id: ConversationId
    title: str
    model: str | None
    state: str
    messages: int
    created: float
    usage: TokenUsage

    @classmethod
    def of(cls, conversation: Conversation) -> "ConversationSummary":
        """Return the summary of a conversation."""
        return cls(
            conversation.id,
            conversation.title,
            conversation.settings.model,
            conversation.state.value,
            len(conversation.messages),
            conversation.created,
            conversation.usage,
        )


class ConversationStore(Protocol):
    """Stores conversations until they have not been used for a time. Replicas may share it.

    Every method raises StateUnavailable while a store outside the process cannot be reached.
    """

    async def get(self, conversation_id: ConversationId) -> Conversation | None:
        """Return a copy of the conversation, None if it is unknown or has expired."""

    async def put(self, conversation: Conversation) -> None:
        """Add or update the conversation, and increment its `edition`.

        An owner with the maximum number of conversations loses the least recently used one.

        Raises:
            Conflict: another call or process has changed or deleted it since it was loaded.
        """

    async def delete(self, conversation_id: ConversationId) -> None:
        """Delete the conversation; a no-op if it is unknown."""

    async def list(self, owner: str, limit: int) -> Sequence[ConversationSummary]:
        """Return up to `limit` conversations of an owner, most recently used first."""
