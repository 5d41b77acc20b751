"""The port of the language model."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from tfo_mcp.domain.content import Text
from tfo_mcp.domain.conversation import ModelSettings
from tfo_mcp.domain.dialogue import Block, ConversationMessage
from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.domain.token_usage import NO_USAGE, TokenUsage
from tfo_mcp.value_objects import value_object

OnText = Callable[[str], Awaitable[None]]
"""Receives each piece of a reply's text as soon as it has been generated."""
OnAbandoned = Callable[[TokenUsage], None]
"""Receives the tokens of a reply that was cancelled."""


@value_object
class ToolOffer:
    """A tool that the model may ask for."""

    name: str
    description: str
    input_schema: Mapping[str, Any]


@value_object
class ModelRequest:
    """A conversation to continue, with the user's message last.

    `settings.model` is set. `tools` are all tools that the messages may mention; `may_use_tools` is whether the model
    may ask for one now. `caller` and `tool` are the names of the caller and of the tool in whose call it is made.
    """

    messages: Sequence[ConversationMessage]
    settings: ModelSettings
    tools: Sequence[ToolOffer] = ()
    may_use_tools: bool = True
    caller: str | None = None
    tool: str | None = None


@value_object
class ModelReply:
    """The model's message and its token usage."""

    content: tuple[Block, ...]
    model: str
    stop_reason: str | None
    usage: TokenUsage

    @property
    def text(self) -> str:
        """The text blocks, joined."""
        return "".join(block.text for block in self.content if isinstance(block, Text))


class ModelFailed(OperationFailed):
    """The provider rejected the request, failed or was unreachable. `usage` are the tokens that it took all the same.

    The message says what to do.
    """

    def __init__(self, message: str, usage: TokenUsage = NO_USAGE) -> None:
        super().__init__(message)
        self.usage = usage


class LanguageModel(Protocol):
    """Continues conversations."""

    @property
    def is_configured(self) -> bool:
        """Whether the model has what it needs to reply, such as an API key."""

    def settings(
        self,
        model: str | None,
        max_tokens: int | None,
        system_prompt: str | None,
        temperature: float | None,
        thinking_tokens: int | None,
    ) -> ModelSettings:
        """Return the settings of a new conversation; None selects the configured default."""

    async def check(self, settings: ModelSettings) -> None:
        """Check the settings against what is known of the model.

        Raises:
            OperationFailed: the model is unknown, or does not support them; the message says what it supports.
            NotConfigured: the model cannot be used.
        """

    async def reply(
        self, request: ModelRequest, on_text: OnText | None = None, on_abandoned: OnAbandoned | None = None
    ) -> ModelReply:
        """Return the model's next message.

        Raises:
            NotConfigured: the model cannot be used.
            ModelFailed: there is no reply; the message says what to do.
        """
