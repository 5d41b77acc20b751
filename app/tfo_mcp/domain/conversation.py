"""The Conversation aggregate and its Message entity: a dialogue with a language model.

Owns the rule that the first message is the user's and that roles alternate. Knows no model, tool or store.
"""

from dataclasses import dataclass, field

from tfo_mcp.domain.content import Role
from tfo_mcp.domain.errors import InvalidParams
from tfo_mcp.domain.events import ConversationCreated, DomainEvent, MessageAdded
from tfo_mcp.domain.ids import ConversationId, MessageId, new_conversation_id, new_message_id


@dataclass(frozen=True, slots=True)
class ConversationMessage:
    """One message with its role."""

    id: MessageId
    role: Role
    text: str


@dataclass(slots=True)
class Conversation:
    """A conversation; the roles of `messages` alternate, starting with the user."""

    id: ConversationId
    messages: list[ConversationMessage] = field(default_factory=list)
    _events: list[DomainEvent] = field(default_factory=list, repr=False)

    @classmethod
    def begin(cls) -> "Conversation":
        """Return a new conversation without messages."""
        conversation = cls(new_conversation_id())
        conversation._events.append(ConversationCreated(conversation.id))
        return conversation

    def add(self, role: Role, text: str) -> ConversationMessage:
        """Append a message and return it.

        Raises:
            InvalidParams: the text is empty, or the role does not alternate.
        """
        expected: Role = "assistant" if self.messages and self.messages[-1].role == "user" else "user"
        if role != expected:
            raise InvalidParams(f"It is the {expected}'s turn to speak")
        if not text.strip():
            raise InvalidParams("A message must not be empty")
        message = ConversationMessage(new_message_id(), role, text)
        self.messages.append(message)
        self._events.append(MessageAdded(self.id, message.id))
        return message

    def collect_events(self) -> list[DomainEvent]:
        """Return the events since the last call, oldest first."""
        events, self._events = self._events, []
        return events
