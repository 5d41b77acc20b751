"""The port of the language model behind conversations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tfo_mcp.domain.conversation import Message


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A conversation to be continued, the user's turn last."""

    messages: Sequence[Message]
    model: str | None = None
    system_prompt: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None


@dataclass(frozen=True, slots=True)
class ModelReply:
    """What the model said, and what it cost in tokens."""

    text: str
    model: str
    stop_reason: str | None
    input_tokens: int
    output_tokens: int


class LanguageModel(Protocol):
    """Continues conversations."""

    async def reply(self, request: ModelRequest) -> ModelReply:
        """Return the model's next turn.

        Raises:
            NotConfigured: no API key is set.
            OperationFailed: the provider refused or could not be reached; the message says what to do.
        """
