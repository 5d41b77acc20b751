"""The tool claude_conversation.

Owns the tool's parameters and result. API keys, defaults and limits belong to the language model adapter behind
`ctx.converse`.
"""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from tfo_mcp.plugins import Context, ToolHints, tool


@dataclass(frozen=True, slots=True)
class Reply:
    """The model's reply and its token usage."""

    text: str
    model: Annotated[str, Field(description="Name of the model that generated the reply.")]
    stop_reason: Annotated[
        str | None, Field(description="Why generation stopped, such as end_turn, max_tokens or refusal.")
    ]
    input_tokens: int
    output_tokens: int


@tool(
    title="Talk to Claude",
    scope="tools:ai",
    hints=ToolHints(
        read_only=False, destructive=False, idempotent=False, open_world=True
    ),  # not read-only: each call costs money
)
async def claude_conversation(
    message: Annotated[str, Field(min_length=1, pattern=r"\S", description="Message to send to the model.")],
    ctx: Context,
    *,
    model: Annotated[
        str | None, Field(min_length=1, description="Model name. Default: the setting claude.model.")
    ] = None,
    system_prompt: Annotated[str | None, Field(description="System prompt for the model. Default: none.")] = None,
    max_tokens: Annotated[
        int | None,
        Field(ge=1, description="Maximum length of the reply in tokens. Default: the setting claude.max_tokens."),
    ] = None,
    temperature: Annotated[
        float | None,
        Field(ge=0, le=1, description="Sampling temperature from 0 to 1. Only older models accept it."),
    ] = None,
) -> Reply:
    """Send a message to a Claude model and return its reply. Each call starts a new conversation without history."""
    reply = await ctx.converse(
        message, model=model, system_prompt=system_prompt, max_tokens=max_tokens, temperature=temperature
    )
    return Reply(reply.text, reply.model, reply.stop_reason, reply.input_tokens, reply.output_tokens)
