"""The port of the language model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tfo_mcp.domain.conversation import ConversationMessage


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A conversation to continue, with the user's message last. None selects the configured default."""

    messages: Sequence[ConversationMessage]
    model: str | None = None
    system_prompt: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None


@dataclass(frozen=True, slots=True)
class ModelReply:
    """The model's reply and its token usage."""

    text: str
    model: str
    stop_reason: str | None
    input_tokens: int
    output_tokens: int


class LanguageModel(Protocol):
    """Continues conversations."""

    async def reply(self, request: ModelRequest) -> ModelReply:
        """Return the model's next message.

        Raises:
            NotConfigured: no API key is set.
            OperationFailed: the provider rejected the request or was unreachable; the message says what to do.
        """
