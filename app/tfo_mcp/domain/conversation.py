"""The Conversation aggregate: a dialogue with a language model that belongs to one principal.

Owns its lifecycle and the rules of its history: the first message is the user's, roles alternate, and the answers to
tool uses follow them at once and completely. A turn is what one call adds; it is in progress until it ends or is
withdrawn. Knows no model, tool, store or clock: times are seconds since 1970, given by the caller.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from math import ceil
from typing import Any, NamedTuple

from tfo_mcp.domain.content import Role, Text
from tfo_mcp.domain.dialogue import Block, ConversationMessage, ToolAnswer, ToolUse, size_of
from tfo_mcp.domain.errors import InvalidParams, OperationFailed
from tfo_mcp.domain.events import ConversationClosed, ConversationCreated, DomainEvent, MessageAdded
from tfo_mcp.domain.ids import ConversationId, new_conversation_id, new_message_id
from tfo_mcp.domain.text import label
from tfo_mcp.domain.token_usage import NO_USAGE, TokenUsage
from tfo_mcp.value_objects import value_object

INTERRUPTED = "The call was interrupted. It is not known whether it has had an effect"
NOT_RUN = "The tool was not run, because the call that it was part of has ended"
_TITLE_CHARACTERS = 80


class ConversationState(StrEnum):
    """Lifecycle state of a conversation: without messages, with messages, or at one of its limits."""

    CREATED = "created"
    ACTIVE = "active"
    CLOSED = "closed"


@value_object
class ModelSettings:
    """What is fixed for a conversation: the model, the system prompt, and how replies are generated.

    `model` is None if the client's own model replies. `thinking_tokens` is the budget of extended thinking.
    """

    model: str | None
    max_tokens: int
    system_prompt: str | None = None
    temperature: float | None = None
    thinking_tokens: int | None = None


class ConversationLimits(NamedTuple):
    """The limits of one conversation: messages, tokens of context, and bytes of all messages."""

    messages: int
    tokens: int
    size: int


@value_object
class Turn:
    """The turn in progress.

    `kept_messages` and `kept_blocks` (of the last of these messages) are the length of the history before it.
    `requests` counts the replies so far, `usage` is theirs. `started` are the ids of tool uses that may have run.
    """

    id: str
    kept_messages: int
    kept_blocks: int
    requests: int = 0
    usage: TokenUsage = NO_USAGE
    started: tuple[str, ...] = ()


@dataclass(slots=True)
class Conversation:
    """A conversation of `owner`.

    `usage` is that of all turns, and `context_tokens` the size of the history at the last reply. While a call works on
    a turn, others must wait until `busy_until`. `edition` counts the saved changes and is the store's.
    """

    id: ConversationId
    owner: str
    settings: ModelSettings
    created: float
    state: ConversationState = ConversationState.CREATED
    messages: list[ConversationMessage] = field(default_factory=list)
    usage: TokenUsage = NO_USAGE
    context_tokens: int = 0
    turn: Turn | None = None
    busy_until: float = 0.0
    edition: int = field(default=0, compare=False)
    _events: list[DomainEvent] = field(default_factory=list, repr=False, compare=False)

    @classmethod
    def begin(cls, owner: str, settings: ModelSettings, now: float) -> "Conversation":
        """Return a new conversation without messages."""
        conversation = cls(new_conversation_id(), owner, settings, now)
        conversation._events.append(ConversationCreated(conversation.id))
        return conversation

    @property
    def title(self) -> str:
        """The beginning of the first message."""
        return label(self.messages[0].text.strip(), _TITLE_CHARACTERS) if self.messages else ""

    @property
    def open_tool_uses(self) -> tuple[ToolUse, ...]:
        """The tool uses of the last message, which are to be answered."""
        return self.messages[-1].tool_uses if self.messages else ()

    def begin_turn(self, content: Sequence[Block], limits: ConversationLimits, now: float) -> None:
        """Add the user's message. Tool uses without answers are answered first, as interrupted.

        Raises:
            OperationFailed: another call works on the conversation, it is closed, or the message is too large.
            InvalidParams: the message is empty.
        """
        if self.busy_until > now:
            wait = ceil(self.busy_until - now)
            raise OperationFailed(
                f"Another call is in progress in this conversation: try again when it has ended, in {wait} seconds at "
                "the latest"
            )
        self.require_room(limits)
        size = size_of(content)
        if size > limits.size:
            raise OperationFailed(f"The message has {size} bytes; the maximum is {limits.size}")
        if not any(not isinstance(block, Text) or block.text.strip() for block in content):
            raise InvalidParams("A message must not be empty")
        self.abandon()
        last = self.messages[-1] if self.messages else None
        self.turn = Turn(new_message_id(), len(self.messages), len(last.content) if last is not None else 0)
        self._add("user", content)
        self.state = ConversationState.ACTIVE

    def require_room(self, limits: ConversationLimits) -> None:
        """Check that the conversation is within its limits, and close it if it is not.

        Raises:
            OperationFailed: it is closed.
        """
        reached = (
            f"{limits.messages} messages"
            if len(self.messages) >= limits.messages
            else f"{limits.tokens} tokens"
            if self.context_tokens >= limits.tokens
            else f"{limits.size} bytes"
            if sum(message.size for message in self.messages) >= limits.size
            else ""
        )
        if reached:
            self.close()
        if self.state is ConversationState.CLOSED:
            raise OperationFailed(
                f"This conversation is closed{f': it has reached the limit of {reached}' if reached else ''}. Begin a "
                "new one, without conversation_id"
            )

    def add_reply(self, content: Sequence[Block], usage: TokenUsage) -> None:
        """Add the model's message and count its tokens; an empty message only counts.

        Raises:
            InvalidParams: it is not the model's turn.
        """
        turn = self._open_turn()
        self.turn = replace(turn, requests=turn.requests + 1)
        self.charge(usage)
        self.context_tokens = usage.total
        if content:
            self._add("assistant", content)

    def charge(self, usage: TokenUsage) -> None:
        """Count tokens, also those of a reply that failed."""
        self.usage += usage
        if self.turn is not None:
            self.turn = replace(self.turn, usage=self.turn.usage + usage)

    def start_tools(self, tool_use_ids: Sequence[str]) -> None:
        """Record that tools begin to run. None of them begins again.

        Raises:
            OperationFailed: one of them has begun before.
        """
        turn = self._open_turn()
        if set(turn.started) & set(tool_use_ids):
            raise OperationFailed("The tools of this call have been started already")
        self.turn = replace(turn, started=(*turn.started, *tool_use_ids))

    def answer_tools(self, answers: Sequence[ToolAnswer]) -> None:
        """Add the results of the open tool uses.

        Raises:
            InvalidParams: they are not the answers to exactly these tool uses.
        """
        asked = [use.id for use in self.open_tool_uses]
        if not asked or sorted(asked) != sorted(answer.tool_use_id for answer in answers):
            raise InvalidParams("Every tool use needs exactly one result")
        self._add("user", answers)

    def abandon(self) -> None:
        """End a turn that no call will continue: its open tool uses are answered as interrupted or not run."""
        if uses := self.open_tool_uses:
            started = () if self.turn is None else self.turn.started
            self.answer_tools(
                [
                    ToolAnswer(use.id, (Text(INTERRUPTED if use.id in started else NOT_RUN),), is_error=True)
                    for use in uses
                ]
            )
        self.turn, self.busy_until = None, 0.0

    def withdraw(self) -> None:
        """Take the turn in progress back: the history is as before it. The tokens stay counted."""
        turn = self._open_turn()
        del self.messages[turn.kept_messages :]
        if self.messages:
            last = self.messages[-1]
            self.messages[-1] = replace(last, content=last.content[: turn.kept_blocks])
        self.turn, self.busy_until = None, 0.0

    def end_turn(self) -> None:
        """End the turn in progress."""
        self.turn, self.busy_until = None, 0.0

    def fail_turn(self) -> None:
        """End a turn whose last reply failed: without tool results its message is taken back, otherwise they stay."""
        if self._open_turn().requests:
            self.abandon()
        else:
            self.withdraw()

    def close(self) -> None:
        """Close the conversation: it can be read, but not continued."""
        if self.state is not ConversationState.CLOSED:
            self.state = ConversationState.CLOSED
            self._events.append(ConversationClosed(self.id))

    @property
    def events(self) -> Sequence[DomainEvent]:
        """The events that nobody has collected yet, oldest first."""
        return self._events

    def collect_events(self) -> list[DomainEvent]:
        """Return the events since the last call, oldest first."""
        events, self._events = self._events, []
        return events

    def copy(self) -> "Conversation":
        """Return a conversation with the same state, which changes independently; it has no events."""
        return replace(self, messages=list(self.messages), _events=[])

    def document(self) -> dict[str, Any]:
        """Return the state as plain JSON values, for stores outside this process."""
        return {
            "id": self.id,
            "owner": self.owner,
            "settings": asdict(self.settings),
            "created": self.created,
            "state": self.state.value,
            "messages": [message.document() for message in self.messages],
            "usage": self.usage.document(),
            "context_tokens": self.context_tokens,
            "turn": None if self.turn is None else {**asdict(self.turn), "usage": self.turn.usage.document()},
            "busy_until": self.busy_until,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Conversation":
        """Return the conversation that `document` describes."""
        turn = document["turn"]
        if turn is not None:
            usage = TokenUsage.from_document(turn["usage"])
            turn = Turn(**{**turn, "usage": usage, "started": tuple(turn["started"])})
        return cls(
            ConversationId(document["id"]),
            document["owner"],
            ModelSettings(**document["settings"]),
            document["created"],
            ConversationState(document["state"]),
            [ConversationMessage.from_document(message) for message in document["messages"]],
            TokenUsage.from_document(document["usage"]),
            document["context_tokens"],
            turn,
            document["busy_until"],
        )

    def _open_turn(self) -> Turn:
        if self.turn is None:
            raise InvalidParams("No turn is in progress in this conversation")
        return self.turn

    def _add(self, role: Role, content: Sequence[Block]) -> None:
        """Append a message; what the user adds to a message without a reply joins it.

        Raises:
            InvalidParams: the role does not alternate, or open tool uses would stay without answers.
        """
        last = self.messages[-1] if self.messages else None
        if role == "assistant" and (last is None or last.role == "assistant"):
            raise InvalidParams("It is the user's turn to speak")
        if self.open_tool_uses and not any(isinstance(block, ToolAnswer) for block in content):
            raise InvalidParams("Every tool use needs exactly one result")
        if last is not None and last.role == role:
            self.messages[-1] = last.joined(content)
        else:
            self.messages.append(ConversationMessage(new_message_id(), role, tuple(content)))
        self._events.append(MessageAdded(self.id, self.messages[-1].id))
